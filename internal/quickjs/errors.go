package quickjs

import (
	"fmt"
	"strconv"
	"strings"

	"flagbase.dev/internal/sandbox"
)

// Error is what a script threw, or why it does not compile, in the words and the
// positions of the user's own files.
type Error struct {
	Name    string // such as "TypeError"; "" when something other than an Error was thrown
	Message string
	File    string // the user's file, "" when no frame names one
	Line    int    // from 1
	Column  int    // from 1
	Stack   string // "Name: message" and the frames, innermost first, one a line; causes follow

	// Unhandled says that it is a rejected promise that nobody handled.
	Unhandled bool
}

// Error is the message with its place: "TypeError: x is not a function (a.ts:3:5)".
func (e *Error) Error() string {
	s := headline(e.Name, e.Message)
	if e.Unhandled {
		s = "unhandled promise rejection: " + s
	}
	if e.File != "" {
		s += fmt.Sprintf(" (%s:%d:%d)", e.File, e.Line, e.Column)
	}
	return s
}

func headline(name, message string) string {
	switch {
	case name == "":
		return message
	case message == "":
		return name
	}
	return name + ": " + message
}

const outOfMemory = "out of memory"

// scriptError turns a report into what callers see. Memory that ran out is
// sandbox.ErrOutOfMemory, whether the sandbox or QuickJS noticed it.
func scriptError(r *report, maps *positions, inst *sandbox.Instance, pages uint32) error {
	noMemory := r.Name == "InternalError" && r.Message == outOfMemory
	// QuickJS throws null when there is no room for an Error either.
	noMemory = noMemory || inst.OutOfMemory() && r.Name == "" && strings.HasSuffix(r.Message, "null")
	if noMemory {
		return fmt.Errorf("%w: limit %d MiB", sandbox.ErrOutOfMemory, uint64(pages)*pageSize>>20)
	}
	e := &Error{Name: r.Name, Message: r.Message, Unhandled: r.unhandled}
	var b strings.Builder
	for depth, c := 0, r; c != nil && depth < 8; depth, c = depth+1, c.Cause {
		if depth > 0 {
			b.WriteString("\nCaused by: ")
		}
		b.WriteString(headline(c.Name, c.Message))
		for _, f := range maps.frames(c.Stack) {
			b.WriteString("\n" + f.String())
			if e.File == "" && depth == 0 && f.Line > 0 {
				e.File, e.Line, e.Column = f.File, f.Line, f.Column
			}
		}
	}
	e.Stack = b.String()
	return e
}

// frame is one line of a stack. Line is 0 for a frame of the engine's own.
type frame struct {
	Function, File string
	Line, Column   int
}

func (f frame) String() string {
	at := f.File
	if f.Line > 0 {
		at = fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
	}
	if f.Function == "" {
		return "    at " + at
	}
	return "    at " + f.Function + " (" + at + ")"
}

// parseFrame reads a line of QuickJS's Error.stack: "at name (file:line:column)",
// "at file:line:column" or "at name (native)".
func parseFrame(line string) (frame, bool) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(line), "at ")
	if !ok {
		return frame{}, false
	}
	var f frame
	at := rest
	if strings.HasSuffix(rest, ")") {
		if open := strings.LastIndex(rest, " ("); open >= 0 {
			f.Function, at = rest[:open], rest[open+2:len(rest)-1]
		}
	}
	f.File = at
	file, column, ok := cutNumber(at)
	if !ok {
		return f, true
	}
	if name, line, ok := cutNumber(file); ok {
		f.File, f.Line, f.Column = name, line, column
	} else {
		f.File, f.Line, f.Column = file, column, 1
	}
	return f, true
}

// cutNumber takes ":number" off the end.
func cutNumber(s string) (string, int, bool) {
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 {
		return s, 0, false
	}
	n, err := strconv.Atoi(s[colon+1:])
	if err != nil || n < 1 {
		return s, 0, false
	}
	return s[:colon], n, true
}
