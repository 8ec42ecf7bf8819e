package quickjs

import (
	"encoding/json"
	"sort"
	"strings"
	"sync"
)

// positions turns places in the script that runs into places in the user's files.
// A nil *positions leaves them as they are.
type positions struct {
	script string // the name the script was compiled under
	raw    []byte // source map, revision 3, or nil

	once    sync.Once
	sources []string
	lines   [][]segment // by line of the script, from 0
}

// segment maps what follows column in its line, all from 0.
type segment struct{ column, source, line, sourceColumn int }

// maxFrames is how many lines of a stack are looked at.
const maxFrames = 64

// frames reads a stack, without the frames of the prelude.
func (p *positions) frames(stack string) []frame {
	var out []frame
	for line := range strings.SplitSeq(stack, "\n") {
		f, ok := parseFrame(line)
		if !ok || strings.HasPrefix(f.File, "flagbase:") {
			continue
		}
		if len(out) == maxFrames {
			break
		}
		out = append(out, p.locate(f))
	}
	// What the prelude called on its way, such as apply, says nothing by itself.
	for len(out) > 0 && out[len(out)-1].Line == 0 {
		out = out[:len(out)-1]
	}
	return out
}

// stack gives the frames of a stack as text, for console and errors.
func (p *positions) stack(stack string) string {
	frames := p.frames(stack)
	lines := make([]string, len(frames))
	for i, f := range frames {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

func (p *positions) locate(f frame) frame {
	if p == nil || p.raw == nil || f.File != p.script || f.Line == 0 {
		return f
	}
	p.once.Do(p.decode)
	if f.Line > len(p.lines) {
		return f
	}
	line := p.lines[f.Line-1]
	at := sort.Search(len(line), func(i int) bool { return line[i].column > f.Column-1 }) - 1
	if at < 0 {
		if len(line) == 0 {
			return f
		}
		at = 0
	}
	s := line[at]
	f.File, f.Line, f.Column = p.sources[s.source], s.line+1, s.sourceColumn+1
	return f
}

// decode reads the source map; one that is damaged maps what came before the
// damage. Format: https://tc39.es/ecma426/.
func (p *positions) decode() {
	var m struct {
		Sources  []string `json:"sources"`
		Mappings string   `json:"mappings"`
	}
	if json.Unmarshal(p.raw, &m) != nil {
		return
	}
	p.sources = m.Sources
	var source, line, column int
	for group := range strings.SplitSeq(m.Mappings, ";") {
		var segments []segment
		generated := 0
		for item := range strings.SplitSeq(group, ",") {
			if item == "" {
				continue
			}
			fields, n := decodeVLQ(item)
			if n == 0 {
				return
			}
			generated += fields[0]
			if n < 4 {
				continue
			}
			source, line, column = source+fields[1], line+fields[2], column+fields[3]
			if generated < 0 || source < 0 || source >= len(m.Sources) || line < 0 || column < 0 {
				return
			}
			segments = append(segments, segment{generated, source, line, column})
		}
		sort.SliceStable(segments, func(i, j int) bool { return segments[i].column < segments[j].column })
		p.lines = append(p.lines, segments)
	}
}

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// decodeVLQ reads up to five base64 VLQ numbers. n is 0 when s is malformed.
func decodeVLQ(s string) (fields [5]int, n int) {
	value, shift := 0, 0
	for i := range len(s) {
		digit := strings.IndexByte(base64Digits, s[i])
		if digit < 0 || shift > 30 {
			return fields, 0
		}
		value |= (digit & 31) << shift
		if digit&32 != 0 {
			shift += 5
			continue
		}
		if n == len(fields) {
			return fields, 0
		}
		fields[n] = value >> 1
		if value&1 != 0 {
			fields[n] = -fields[n]
		}
		n++
		value, shift = 0, 0
	}
	if shift != 0 {
		return fields, 0
	}
	return fields, n
}
