package hostabi

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"

	"flagbase.dev/internal/sandbox"
	"flagbase.dev/tracing"
)

// ModuleName is what guests import from.
const ModuleName = "flagbase"

// Module gives the host module. The Host of an instance that imports it is a
// *Call.
func Module() sandbox.HostModule {
	m := sandbox.HostModule{Name: ModuleName}
	for _, op := range operations {
		m.Funcs = append(m.Funcs, op.hostFunc())
	}
	i32 := []sandbox.ValueType{sandbox.I32}
	read := func(name string, from func(c *Call) []byte) {
		m.Funcs = append(m.Funcs, sandbox.HostFunc{Name: name, Params: []sandbox.ValueType{sandbox.I32, sandbox.I32}, Results: i32,
			Call: func(_ context.Context, g *sandbox.Instance, stack []uint64) {
				c := callOf(g)
				c.HostCalls++
				stack[0] = uint64(c.copyOut(g, name, from(c), uint32(stack[0]), uint32(stack[1])))
			}})
	}
	length := func(name string, of func(c *Call) []byte) {
		m.Funcs = append(m.Funcs, sandbox.HostFunc{Name: name, Results: i32,
			Call: func(_ context.Context, g *sandbox.Instance, stack []uint64) {
				c := callOf(g)
				c.HostCalls++
				stack[0] = uint64(len(of(c)))
			}})
	}
	result := func(c *Call) []byte { return c.result }
	failure := func(c *Call) []byte { return c.failure }
	event := func(c *Call) []byte { return c.Event }
	read("result_read", result)
	read("error_read", failure)
	read("event_read", event)
	read("get_trace_id", func(c *Call) []byte { return []byte(c.TraceID) })
	read("get_caller_context", func(c *Call) []byte { return c.Caller })
	length("result_len", result)
	length("error_len", failure)
	length("event_len", event)
	return m
}

// Names are the names of all functions of the module, sorted.
func Names() []string {
	var names []string
	for _, f := range Module().Funcs {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return names
}

func callOf(g *sandbox.Instance) *Call {
	c, ok := g.Host().(*Call)
	if !ok {
		sandbox.Fail(badRequest("this module runs without flagbase services"))
	}
	return c
}

// copyOut copies at most size bytes to guest memory and returns how many.
func (c *Call) copyOut(g *sandbox.Instance, name string, b []byte, ptr, size uint32) uint32 {
	buffer, ok := g.Read(ptr, size)
	if !ok {
		c.fail(name, badRequest("the buffer of %d bytes at %d is not in memory", size, ptr))
		return 0
	}
	return uint32(copy(buffer, b))
}

// maxMessage bounds what error_read gives: messages quote what guests sent.
const maxMessage = 4 << 10

func (c *Call) fail(op string, err error) {
	message := c.message(op, err)
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "..."
	}
	c.failure = []byte(message)
}

func (op *operation) hostFunc() sandbox.HostFunc {
	f := sandbox.HostFunc{Name: op.name}
	for _, p := range op.params {
		switch p {
		case argName, argBytes:
			f.Params = append(f.Params, sandbox.I32, sandbox.I32)
		case argFloat:
			f.Params = append(f.Params, sandbox.F64)
		case argInt:
			f.Params = append(f.Params, sandbox.I32)
		}
	}
	if op.answer != answerNone {
		f.Results = []sandbox.ValueType{sandbox.I32}
	}
	f.Call = func(ctx context.Context, g *sandbox.Instance, stack []uint64) {
		c := callOf(g)
		result, err := c.fromMemory(ctx, g, op, stack)
		switch op.answer {
		case answerLength:
			stack[0] = failed
			if err == nil {
				stack[0] = uint64(len(result))
			}
		case answerOK:
			stack[0] = 0
			if err == nil {
				stack[0] = 1
			}
		case answerFlag:
			stack[0] = failed
			if err == nil {
				stack[0] = uint64(result[0] - '0')
			}
		}
	}
	return f
}

// fromMemory collects the arguments of op from guest memory and runs it.
func (c *Call) fromMemory(ctx context.Context, g *sandbox.Instance, op *operation, stack []uint64) ([]byte, error) {
	var a arguments
	var outside error
	i := 0
	for _, p := range op.params {
		switch p {
		case argName, argBytes:
			ptr, size := uint32(stack[i]), uint32(stack[i+1])
			b, ok := g.Read(ptr, size)
			if !ok {
				outside = badRequest("the %d bytes at %d are not in memory", size, ptr)
			}
			a.bytes = append(a.bytes, b)
			i += 2
		case argFloat:
			a.float = math.Float64frombits(stack[i])
			i++
		case argInt:
			a.int = int32(uint32(stack[i]))
			i++
		}
	}
	if outside != nil {
		c.HostCalls++
		c.fail(op.name, outside)
		return nil, outside
	}
	return c.run(ctx, op, &a)
}

// run does one operation: counted, in a span, its result or error kept.
func (c *Call) run(ctx context.Context, op *operation, a *arguments) ([]byte, error) {
	c.HostCalls++
	ctx, span := c.span(ctx, op)
	err := op.check(a)
	var result []byte
	if err == nil {
		result, err = op.run(ctx, c, a)
	}
	if err == nil && len(result) > MaxResultBytes {
		err = errTooLarge
	}
	if err != nil {
		c.fail(op.name, err)
		span.End(&shownError{c.Redact(string(c.failure)), err})
		return nil, err
	}
	if op.answer == answerLength {
		c.result = result
	}
	span.End(nil)
	return result, nil
}

// maxSpans is how many host calls of one invocation get a span. A guest that calls in
// a loop would push the spans of all others out of the recorder.
const maxSpans = 1000

func (c *Call) span(ctx context.Context, op *operation) (context.Context, *tracing.Span) {
	if c.spans == maxSpans {
		return ctx, nil
	}
	c.spans++
	return c.Services.Tracer.Start(ctx, "flagbase."+op.name, nil)
}

// shownError is an error as a guest sees it.
type shownError struct {
	text  string
	cause error
}

func (e *shownError) Error() string { return e.text }
func (e *shownError) Unwrap() error { return e.cause }

var byName = func() map[string]*operation {
	m := make(map[string]*operation, len(operations))
	for i := range operations {
		m[operations[i].name] = &operations[i]
	}
	return m
}()

// maxNumber is more digits than any number needs.
const maxNumber = 64

// HostCall is the bridge for JavaScript: the operation named op, its arguments in
// ABI order, numbers as decimal text. An answer of 1 or 0 comes as that digit.
func (c *Call) HostCall(ctx context.Context, op string, args [][]byte) ([]byte, error) {
	o, ok := byName[op]
	if !ok || len(args) != len(o.params) {
		return nil, badRequest("no host call %q with %d arguments", op, len(args))
	}
	var a arguments
	for i, p := range o.params {
		if (p == argFloat || p == argInt) && len(args[i]) > maxNumber {
			return nil, badRequest("%s: a number has %d digits", op, len(args[i]))
		}
		switch p {
		case argName, argBytes:
			a.bytes = append(a.bytes, args[i])
		case argFloat:
			v, err := strconv.ParseFloat(string(args[i]), 64)
			if err != nil {
				return nil, badRequest("%s: %q is not a number", op, args[i])
			}
			a.float = v
		case argInt:
			v, err := strconv.ParseInt(string(args[i]), 10, 32)
			if err != nil {
				return nil, badRequest("%s: %q is not an integer", op, args[i])
			}
			a.int = int32(v)
		}
	}
	result, err := c.run(ctx, o, &a)
	if err != nil {
		return nil, &shownError{string(c.failure), err}
	}
	return result, nil
}
