package function

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// recordedOutput is how much of an output a FunctionInvocation keeps.
const recordedOutput = 64 << 10

var errOutputExceeded = fmt.Errorf("%w", ErrOutputExceeded)

// errWriter says that the writer a caller gave for streaming failed.
var errWriter = errors.New("write output")

// output takes what a guest writes to standard output and what it returned: into
// memory, or through to the caller's writer as it comes.
type output struct {
	w     io.Writer // nil: keep it all
	limit int64
	size  int64
	kept  []byte // all of it, or its first 64 KiB when it is written through
}

func newOutput(w io.Writer, limit int64) *output { return &output{w: w, limit: limit} }

// Write implements io.Writer. What fits under the limit is written before the
// error that says it was exceeded.
func (o *output) Write(p []byte) (int, error) {
	over := int64(len(p)) > o.limit-o.size
	if over {
		p = p[:o.limit-o.size]
	}
	o.size += int64(len(p))
	if o.w == nil {
		o.kept = append(o.kept, p...)
	} else {
		if room := recordedOutput - len(o.kept); room > 0 {
			o.kept = append(o.kept, p[:min(room, len(p))]...)
		}
		if _, err := o.w.Write(p); err != nil {
			return 0, fmt.Errorf("%w: %w", errWriter, err)
		}
	}
	if over {
		return len(p), &Error{Code: ErrOutputExceeded.Code, Message: fmt.Sprintf("the output is larger than its limit of %d bytes", o.limit)}
	}
	return len(p), nil
}

// finish adds what the guest returned to what it wrote.
func (o *output) finish(returned []byte) error {
	if len(returned) == 0 {
		return nil
	}
	_, err := o.Write(returned)
	return err
}

func (o *output) left() int64 { return o.limit - o.size }

// bytes is the whole output of an invocation that was not written through.
func (o *output) bytes() []byte {
	if o.w != nil {
		return nil
	}
	return o.kept
}

// takeBuffered removes and gives what was written so far.
func (o *output) takeBuffered() []byte {
	b := o.kept
	o.kept, o.size = nil, 0
	return b
}

// recorded is the part of the output that history keeps, as text.
func (o *output) recorded() string {
	return text(o.kept[:min(len(o.kept), recordedOutput)])
}

// text makes b valid UTF-8 by replacing what is not, so that every database and
// JSON takes it.
func text(b []byte) string {
	if utf8.Valid(b) {
		if bytes.IndexByte(b, 0) < 0 {
			return string(b)
		}
		return string(bytes.ReplaceAll(b, []byte{0}, []byte("\uFFFD")))
	}
	return string(bytes.ReplaceAll(bytes.ToValidUTF8(b, []byte("\uFFFD")), []byte{0}, []byte("\uFFFD")))
}
