package server

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// readEvents is the standard's parser (WHATWG HTML, 9.2.6), as a browser has it.
func readEvents(stream string) (events [][2]string) {
	var event string
	var data []string
	stream = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(stream)
	for line := range strings.SplitSeq(stream, "\n") {
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if data != nil {
				events = append(events, [2]string{event, strings.Join(data, "\n")})
			}
			event, data = "", nil
		case field == "event":
			event = value
		case field == "data":
			data = append(data, value)
		}
	}
	return events
}

func TestEventsCarryAnyText(t *testing.T) {
	for _, text := range []string{"", "a", "a\n", "\n", "\n\n", "a\nb", " lead", "data: x\n\nevent: done\ndata: {}\n\n", ": comment", "a\r\nb\rc", "id: 1"} {
		got := readEvents(string(appendEvent(nil, "", text)))
		want := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
		if len(got) != 1 || got[0] != [2]string{"", want} {
			t.Errorf("%q arrived as %q", text, got)
		}
	}
}

func FuzzAppendEvent(f *testing.F) {
	f.Add("message", "a\nb\r\nc")
	f.Add("", "event: done\n\n")
	f.Fuzz(func(t *testing.T, _, text string) {
		text = strings.ToValidUTF8(text, "\uFFFD")
		got := readEvents(string(appendEvent(nil, "error", text)))
		want := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
		if len(got) != 1 || got[0] != [2]string{"error", want} {
			t.Fatalf("%q arrived as %q", text, got)
		}
	})
}

func TestCompleteUTF8(t *testing.T) {
	const text = "a€😀é"
	for i := range len(text) + 1 {
		whole := completeUTF8([]byte(text[:i]))
		if !utf8.ValidString(text[:whole]) || i-whole > 3 {
			t.Errorf("%q: %d of %d bytes", text[:i], whole, i)
		}
	}
	for _, bad := range []string{"\xff", "a\xffb", "\x80\x80\x80\x80"} {
		if got := completeUTF8([]byte(bad)); got != len(bad) {
			t.Errorf("%q: waits for more, and nothing will make it valid", bad)
		}
	}
}

func TestCheckDepth(t *testing.T) {
	deep := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	if checkDepth(deep(128)) != nil || checkDepth(deep(129)) == nil {
		t.Error("the limit of depth is not 128")
	}
	if err := checkDepth([]byte(`{"a":"` + strings.Repeat("[", 1000) + `\"` + strings.Repeat("{", 1000) + `"}`)); err != nil {
		t.Errorf("brackets in a string count: %v", err)
	}
}

func TestHeaderText(t *testing.T) {
	if got := headerText("a\r\nb\tc\x00é" + strings.Repeat("x", 5000)); !strings.HasPrefix(got, "a  b c??x") || len(got) > 1024 {
		t.Errorf("got %q", got[:20])
	}
}
