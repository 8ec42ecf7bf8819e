package quickjs

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	mathrand "math/rand/v2"
	"strconv"
	"time"
	"unicode/utf8"

	"flagbase.dev/internal/sandbox"
)

// session is what one use of an instance has on the host's side. Host functions
// find it through Instance.Host.
type session struct {
	host    Host // nil while a script is loaded
	loading bool
	stdout  io.Writer // console.log as it comes; nil: keep it in printed
	log     io.Writer // nil: thrown away
	maps    *positions
	name    string // the script's, for errors

	printed   bytes.Buffer // console.log, up to limit
	overflow  bool         // more than limit was printed
	limit     int64
	lastError string // what a host call failed with, until the prelude asks

	details func() ([]byte, error) // of the invocation, as JSON
	began   time.Time

	main       prelude
	places     places
	outcome    *outcome
	failure    *report
	rejections []rejection
	promise    value // of the handler's result, until it is settled; 0 is none
}

// prelude holds the functions that prelude/90_main.js gives, and the address of its mail.
type prelude struct {
	load, invoke, settle, awaited, tick, fail value
	mail                                      uint32
}

// What prelude/90_main.js writes to its mail.
const (
	mailNone     = 1
	mailValue    = 2
	mailResponse = 3 // a string: head and body
	mailPromise  = 5
)

// outcome is what the handler gave.
type outcome struct {
	kind string // "none", "value" or "response"
	data []byte // of a response: head, if meta is empty, and body
	meta []byte // of a response: head, as responseHead in prelude/70_fetch.js writes it
}

// report is what was thrown, as prelude/10_errors.js describes it.
type report struct {
	Name      string  `json:"name"`
	Message   string  `json:"message"`
	Stack     string  `json:"stack"`
	Cause     *report `json:"cause"`
	unhandled bool
}

type rejection struct {
	promise uint32 // identity
	boxes   [2]value
}

// call is the guest asking: the way in, its operation and its arguments, each a
// string or bytes. A nil result means failure; lastError has the message.
func (s *session) call(ctx context.Context, way, op string, args [][]byte) []byte {
	if way == wayHost || way == wayHostBytes {
		return s.service(ctx, op, args)
	}
	out, err := s.system(op, args)
	if err != nil {
		s.lastError = err.Error()
		return nil
	}
	if out == nil {
		out = []byte{}
	}
	return out
}

func (s *session) service(ctx context.Context, op string, args [][]byte) []byte {
	if s.loading {
		s.lastError = op + " is not available while the script is being loaded: call it inside handle or fetch"
		return nil
	}
	if s.host == nil {
		s.lastError = op + " is not available here"
		return nil
	}
	out, err := s.host.HostCall(ctx, op, args)
	if err != nil {
		if errors.Is(err, sandbox.ErrInterrupted) || ctx.Err() != nil {
			sandbox.Fail(fmt.Errorf("%w: %w", sandbox.ErrInterrupted, err))
		}
		s.lastError = err.Error()
		return nil
	}
	if out == nil {
		out = []byte{}
	}
	return out
}

var errArguments = errors.New("wrong number of arguments for a host operation")

// arity is how many arguments each operation takes at least.
var arity = map[string]int{
	"console": 2, "done": 1, "fail": 1, "stack": 1, "random": 1,
	"utf8_encode": 1, "utf8_decode": 1, "utf8_valid": 1, "base64_encode": 1, "base64_decode": 1,
}

const maxRandom = 1 << 16

func (s *session) system(op string, args [][]byte) ([]byte, error) {
	if len(args) < arity[op] {
		return nil, errArguments
	}
	switch op {
	case "error":
		return []byte(s.lastError), nil
	case "console":
		return nil, s.console(string(args[0]), args[1])
	case "done":
		s.finish(args)
		return nil, nil
	case "fail":
		s.fail(args[0])
		return nil, nil
	case "stack":
		return []byte(s.maps.stack(string(args[0]))), nil
	case "details":
		if s.details == nil {
			return []byte("{}"), nil
		}
		return s.details()
	case "elapsed":
		if s.began.IsZero() {
			return []byte("0"), nil
		}
		return strconv.AppendFloat(nil, float64(time.Since(s.began))/float64(time.Millisecond), 'f', -1, 64), nil
	case "random":
		n, err := strconv.Atoi(string(args[0]))
		if err != nil || n < 0 || n > maxRandom {
			return nil, errors.New("bad number of random bytes")
		}
		out := make([]byte, n)
		_, err = rand.Read(out)
		return out, err
	case "utf8_encode", "utf8_decode":
		return validUTF8(args[0]), nil // the way in says what comes out
	case "utf8_valid":
		return strconv.AppendInt(nil, int64(b2i(utf8.Valid(args[0]))), 10), nil
	case "base64_encode":
		return base64.StdEncoding.AppendEncode(nil, args[0]), nil
	case "base64_decode":
		out, err := base64.StdEncoding.AppendDecode(nil, args[0])
		if err != nil {
			return nil, errors.New("the host's answer holds invalid base64")
		}
		return out, nil
	}
	return nil, fmt.Errorf("unknown host operation %q", op)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// console takes one line. Text that a script prints while it is loaded belongs to
// its deployment, not to any invocation's output.
func (s *session) console(level string, line []byte) error {
	line = append(line[:len(line):len(line)], '\n')
	if s.log != nil {
		_, _ = s.log.Write(line) // the log's limits are its own affair
	}
	if level != "log" || s.loading {
		return nil
	}
	if s.stdout != nil {
		if _, err := s.stdout.Write(line); err != nil {
			sandbox.Fail(fmt.Errorf("write output: %w", err))
		}
		return nil
	}
	if room := s.limit - int64(s.printed.Len()); int64(len(line)) > room {
		s.overflow = true
		line = line[:max(room, 0)]
	}
	s.printed.Write(line)
	return nil
}

func (s *session) finish(args [][]byte) {
	if s.outcome != nil || s.failure != nil {
		return
	}
	o := &outcome{kind: string(args[0])}
	switch {
	case o.kind == "value" && len(args) > 1:
		o.data = args[1]
	case o.kind == "response" && len(args) > 2:
		o.meta, o.data = args[1], args[2]
	default:
		o.kind = "none"
	}
	s.outcome = o
}

func (s *session) fail(description []byte) {
	if s.failure != nil {
		return
	}
	r := new(report)
	if err := json.Unmarshal(description, r); err != nil {
		r = &report{Name: "Error", Message: "the script failed in a way that cannot be described"}
	}
	s.failure = r
}

// throw reports an exception or rejection through the prelude, which turns it into
// data, running the getters of the user's own objects if need be.
func (s *session) throw(v *vm, thrown value, unhandled bool) {
	v.free(v.invoke(s.main.fail, thrown))
	if v.err == nil && s.failure == nil {
		s.failure = &report{Name: "InternalError", Message: outOfMemory}
	}
	if s.failure != nil {
		s.failure.unhandled = unhandled
	}
}

func (s *session) settled() bool { return s.outcome != nil || s.failure != nil }

// drain runs what promises have queued, then looks at the handler's promise, then for
// rejections nobody handled.
func (s *session) drain(v *vm) {
	for s.failure == nil {
		ran := int32(v.call("qjs_execute_pending_job"))
		if v.err != nil {
			break
		}
		if ran < 0 {
			s.throw(v, v.exception(), false)
		}
		if ran == 0 && !s.collect(v) {
			break
		}
	}
	if v.err == nil && s.failure == nil && len(s.rejections) > 0 {
		s.throw(v, s.rejections[0].boxes[1], true)
	}
}

// errPending is a promise that nothing is left to settle.
var errPending = errors.New("the function waits for a promise that nothing will settle: no timer and no call is pending")

// wait runs the script's event loop until done says so, or it failed, or nothing is
// left that could go on.
func (s *session) wait(ctx context.Context, v *vm, done func() bool) error {
	for {
		s.drain(v)
		if v.err != nil {
			return v.err
		}
		if s.failure != nil || done() {
			return nil
		}
		x := v.invoke(s.main.tick)
		ms := v.number(x)
		v.free(x)
		switch {
		case v.err != nil:
			return v.err
		case ms < 0:
			return errPending
		case ms > 0:
			timer := time.NewTimer(time.Duration(ms * float64(time.Millisecond)))
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return interrupted(ctx)
			}
		}
	}
}

// rejected keeps track of rejected promises that no handler has been added to.
func (s *session) rejected(v *vm, promise, reason value, handled bool) {
	id := v.call("qjs_get_value_ptr", uint64(promise))
	if !handled {
		s.rejections = append(s.rejections, rejection{id, [2]value{promise, reason}})
		return
	}
	v.free(promise)
	v.free(reason)
	s.handled(v, id)
}

// handled forgets the rejection of a promise, if it is one.
func (s *session) handled(v *vm, id uint32) {
	for i := len(s.rejections) - 1; i >= 0; i-- {
		if r := s.rejections[i]; r.promise == id {
			v.free(r.boxes[0])
			v.free(r.boxes[1])
			s.rejections = append(s.rejections[:i], s.rejections[i+1:]...)
			return
		}
	}
}

// reseed gives Math.random a state of its own, which is not 0. What QuickJS takes from the
// clock would be shared by instances that start together, or from one snapshot. Go's own
// generator will do: what must be unpredictable comes from crypto.
func reseed(v *vm, address uint32) {
	if v.err != nil {
		return
	}
	seed := mathrand.Uint64N(math.MaxUint64) + 1
	if !v.inst.WriteUint32(address, uint32(seed)) || !v.inst.WriteUint32(address+4, uint32(seed>>32)) {
		v.err = errGuestMemory
	}
}
