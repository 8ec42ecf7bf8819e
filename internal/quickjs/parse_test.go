package quickjs

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseFrame(t *testing.T) {
	for line, want := range map[string]frame{
		"    at handle (a.js:3:5)":          {"handle", "a.js", 3, 5},
		"    at a.js:3:5":                   {"", "a.js", 3, 5},
		"    at map (native)":               {"map", "native", 0, 0},
		"    at odd (name (x) (d/a b.ts:1)": {"odd (name (x)", "d/a b.ts", 1, 1},
		"at <anonymous> (c:\\x.js:10:2)":    {"<anonymous>", "c:\\x.js", 10, 2},
	} {
		if got, ok := parseFrame(line); !ok || got != want {
			t.Errorf("%q: %+v %v", line, got, ok)
		}
	}
	if _, ok := parseFrame("Error: at"); ok {
		t.Error("a message was taken for a frame")
	}
}

func TestValidUTF8(t *testing.T) {
	for in, want := range map[string]string{
		"plain é😀":                  "plain é😀",
		"\xed\xa0\x80":              "\uFFFD",
		"a\xed\xa0\x80\xed\xb0\x80": "a\uFFFD\uFFFD",
		"\xff\xfe":                  "\uFFFD\uFFFD",
		"\xed":                      "\uFFFD",
		"":                          "",
	} {
		if got := string(validUTF8([]byte(in))); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzValidUTF8(f *testing.F) {
	f.Add([]byte("\xed\xa0\x80é\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := validUTF8(b)
		if !utf8.Valid(got) || utf8.Valid(b) && !bytes.Equal(got, b) {
			t.Fatalf("%q became %q", b, got)
		}
	})
}

// FuzzPositions: whatever a source map or a stack says, a place comes out.
func FuzzPositions(f *testing.F) {
	f.Add([]byte(`{"sources":["a.ts"],"mappings":";AAMA,SAAS;;AAC9B"}`), "    at f (x:2:9)\n    at x:1:1")
	f.Add([]byte(`{"sources":[],"mappings":"AAAA"}`), "at (x:1:1)")
	f.Add([]byte(`{"sources":["a"],"mappings":"gggggggggggggB,D"}`), "at x:99999999999999999999:0")
	f.Fuzz(func(t *testing.T, sourceMap []byte, stack string) {
		p := &positions{script: "x", raw: sourceMap}
		for _, fr := range p.frames(stack) {
			if fr.Line < 0 || fr.Column < 0 || !strings.Contains(fr.String(), "at ") {
				t.Fatalf("%+v", fr)
			}
		}
	})
}
