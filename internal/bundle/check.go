package bundle

import (
	"bytes"
	"fmt"
	"strings"
)

const (
	// maxNesting bounds how deep a source nests. esbuild is a recursive parser that
	// takes 3 to 7 KB of stack a level, and a Go stack of 1 GB ends the process.
	maxNesting = 5000
	// arrowWeight is what "=>" counts: a chain of arrows takes 36 KB a level.
	arrowWeight = 8
)

// nesting words begin something that goes on inside themselves.
var nestingWords = map[string]bool{
	"if": true, "else": true, "for": true, "while": true, "do": true, "with": true,
	"new": true, "typeof": true, "void": true, "delete": true, "await": true, "yield": true,
	"extends": true, "class": true, "async": true, "declare": true, "abstract": true, "export": true,
	"keyof": true, "infer": true, "readonly": true, "unique": true, "asserts": true,
}

// regexWords may stand before a regular expression.
var regexWords = map[string]bool{
	"return": true, "case": true, "in": true, "of": true, "throw": true, "instanceof": true,
}

// check refuses sources that would take esbuild down: larger than maxSource, or
// nested deeper than any program is. It reads tokens, not grammar: each bracket that
// is open counts, and each operator or word that nests since the last comma,
// semicolon or end of a line that ends a statement.
func check(name, source string) error {
	if len(source) > maxSource {
		return &Error{File: name, Line: 1, Column: 1, Message: fmt.Sprintf("the source is larger than %d MiB", maxSource>>20)}
	}
	s := scanner{src: []byte(source)}
	at, ok := s.scan()
	if ok {
		return nil
	}
	before := s.src[:at]
	line := bytes.Count(before, []byte("\n")) + 1
	start := bytes.LastIndexByte(before, '\n') + 1
	text, _, _ := strings.Cut(source[start:], "\n")
	return &Error{
		File: name, Line: line, Column: at - start + 1, LineText: text[:min(len(text), 200)],
		Message: fmt.Sprintf("the source nests deeper than %d levels here", maxNesting),
	}
}

type scanner struct {
	src     []byte
	levels  []level // of the brackets that are open
	run     int     // weight in the innermost level since it was reset
	total   int     // of all levels
	operand bool    // the last token ended an expression
}

type level struct {
	run      int
	template bool // "${"
}

func (s *scanner) add(n int) bool {
	s.run += n
	s.total += n
	return s.total <= maxNesting
}

func (s *scanner) reset() {
	s.total -= s.run
	s.run = 0
}

func (s *scanner) open(template bool) bool {
	s.levels = append(s.levels, level{s.run, template})
	s.run = 0
	s.operand = false
	return s.add(1)
}

// shut leaves a level and says whether a template goes on behind it.
func (s *scanner) shut() (template bool) {
	if len(s.levels) == 0 {
		return false
	}
	s.total -= s.run
	top := s.levels[len(s.levels)-1]
	s.levels = s.levels[:len(s.levels)-1]
	s.run = top.run
	return top.template
}

// scan gives the offset where the budget is spent; ok when it never is.
func (s *scanner) scan() (at int, ok bool) {
	for i := 0; i < len(s.src); {
		c := s.src[i]
		next := byte(0)
		if i+1 < len(s.src) {
			next = s.src[i+1]
		}
		fine, size := true, 1
		switch {
		case c == '\n':
			if s.operand && !s.continues(i+1) {
				s.reset()
			}
		case c == ' ' || c == '\t' || c == '\r':
		case c == '/' && next == '/':
			if size = bytes.IndexByte(s.src[i:], '\n'); size < 0 {
				size = len(s.src) - i
			}
		case c == '/' && next == '*':
			if size = bytes.Index(s.src[i+2:], []byte("*/")) + 4; size < 4 {
				size = len(s.src) - i
			}
		case c == '/' && !s.operand:
			size = s.regex(i)
			s.operand = true
		case c == '"' || c == '\'':
			size = s.quoted(i, c)
			s.operand = true
		case c == '`':
			size, fine = s.template(i + 1)
			size++
		case c == '(' || c == '[' || c == '{':
			fine = s.open(false)
		case c == '}':
			if s.shut() {
				size, fine = s.template(i + 1)
				size++
			} else {
				s.operand = true
			}
		case c == ')' || c == ']':
			s.shut()
			s.operand = true
		case c == ';' || c == ',':
			s.reset()
			s.operand = false
		case c == '=' && next == '>':
			size, fine = 2, s.add(arrowWeight)
			s.operand = false
		case isWord(c):
			size = wordLength(s.src[i:])
			nests := nestingWords[string(s.src[i:i+size])]
			if nests {
				fine = s.add(1)
			}
			s.operand = !nests && !regexWords[string(s.src[i:i+size])]
		case strings.IndexByte("!~+-?:=<*&|", c) >= 0:
			fine = s.add(1)
			s.operand = false
		default:
			s.operand = false
		}
		if !fine {
			return i, false
		}
		i += size
	}
	return 0, true
}

// continues says whether what follows the end of a line goes on with its statement.
func (s *scanner) continues(i int) bool {
	rest := bytes.TrimLeft(s.src[i:min(len(s.src), i+200)], " \t\r\n")
	if len(rest) == 0 {
		return false
	}
	return strings.IndexByte("?:.=+-*/%&|^<>([`", rest[0]) >= 0 || bytes.HasPrefix(rest, []byte("else"))
}

// quoted gives the length of a string literal; of one that does not end in its
// line, only that of its quote.
func (s *scanner) quoted(i int, quote byte) int {
	for j := i + 1; j < len(s.src); j++ {
		switch s.src[j] {
		case '\\':
			j++
		case quote:
			return j - i + 1
		case '\n':
			return 1
		}
	}
	return 1
}

// template skips text from i to the end of the template literal or to "${".
func (s *scanner) template(i int) (size int, fine bool) {
	for j := i; j < len(s.src); j++ {
		switch {
		case s.src[j] == '\\':
			j++
		case s.src[j] == '`':
			s.operand = true
			return j - i + 1, true
		case s.src[j] == '$' && j+1 < len(s.src) && s.src[j+1] == '{':
			return j - i + 2, s.open(true)
		}
	}
	return len(s.src) - i, true
}

func (s *scanner) regex(i int) int {
	class := false
	for j := i + 1; j < len(s.src); j++ {
		switch c := s.src[j]; {
		case c == '\\':
			j++
		case c == '\n':
			return 1
		case c == '[':
			class = true
		case c == ']':
			class = false
		case c == '/' && !class:
			return j - i + 1
		}
	}
	return 1
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

func wordLength(b []byte) int {
	n := 0
	for n < len(b) && isWord(b[n]) {
		n++
	}
	return n
}
