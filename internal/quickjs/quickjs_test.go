package quickjs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"flagbase.dev/internal/quickjs"
	"flagbase.dev/internal/sandbox"
)

var engine *quickjs.Engine

func TestMain(m *testing.M) {
	ctx := context.Background()
	rt, err := sandbox.NewRuntime(ctx, nil)
	if err == nil {
		engine, err = quickjs.New(ctx, rt)
	}
	if err == nil {
		err = engine.Prepare(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickjs tests cannot run:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = rt.Close(ctx)
		os.Exit(code)
	}))
}

func compile(t testing.TB, source string) *quickjs.Program {
	t.Helper()
	p, err := tryCompile(t, source, nil)
	if err != nil {
		t.Fatalf("compile: %v", err)
	}
	return p
}

func tryCompile(t testing.TB, source string, opts *quickjs.CompileOptions) (*quickjs.Program, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return engine.Compile(ctx, "user.js", []byte(source), opts)
}

func run(t testing.TB, p *quickjs.Program, call *quickjs.Call) (*quickjs.Result, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return p.Run(ctx, call)
}

// output runs a script that must succeed and gives its output.
func output(t testing.TB, source string, call *quickjs.Call) string {
	t.Helper()
	res, err := run(t, compile(t, source), call)
	if err != nil {
		var e *quickjs.Error
		if errors.As(err, &e) {
			t.Fatalf("run: %v\n%s", err, e.Stack)
		}
		t.Fatalf("run: %v", err)
	}
	return string(res.Output)
}

// value evaluates an expression inside handle.
func value(t testing.TB, expression string) string {
	t.Helper()
	return output(t, "export async function handle(event, context) { return "+expression+" }", &quickjs.Call{})
}

func scriptError(t *testing.T, err error) *quickjs.Error {
	t.Helper()
	var e *quickjs.Error
	if !errors.As(err, &e) {
		t.Fatalf("want a *quickjs.Error, got %v", err)
	}
	return e
}

func TestHandlersAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		source        string
		fetch, handle bool
	}{
		"handle":               {"export function handle() { return 'h' }", false, true},
		"async constant":       {"export const handle = async () => 'h'", false, true},
		"default object":       {"export default { handle() { return this.x }, x: 'h' }", false, true},
		"default function":     {"export default () => 'h'", false, true},
		"global":               {"globalThis.handle = () => 'h'", false, true},
		"declared, by bundler": {"function handle() { return 'h' }\nexport const $flagbase_handle = handle", false, true},
		"fetch":                {"export default { fetch() { return new Response('h') } }", true, false},
		"both":                 {"export default { fetch() { return 'f' } }; export function handle() { return 'h' }", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := compile(t, c.source)
			if p.HasFetch() != c.fetch || p.HasHandle() != c.handle {
				t.Errorf("fetch %v, handle %v", p.HasFetch(), p.HasHandle())
			}
			res, err := run(t, p, &quickjs.Call{})
			if err != nil || string(res.Output) != "h" {
				t.Errorf("%v %+v", err, res)
			}
		})
	}
	if _, err := tryCompile(t, "export const x = 1", nil); !errors.Is(err, quickjs.ErrNoHandler) {
		t.Errorf("no handler: %v", err)
	}
}

func TestOutputRule(t *testing.T) {
	for source, want := range map[string]string{
		"return 'text'":                                         "text",
		"return new Uint8Array([0, 255])":                       "\x00\xff",
		"return new Uint16Array([1, 2]).buffer":                 "\x01\x00\x02\x00",
		"return new DataView(new ArrayBuffer(3), 1)":            "\x00\x00",
		"return { a: [1, null] }":                               `{"a":[1,null]}`,
		"return null":                                           "null",
		"return 0":                                              "0",
		"return false":                                          "false",
		"console.log('a', 1); console.warn('w')":                "a 1\n",
		"console.log('a'); return 'only this'":                  "only this",
		"return new Response('r', { status: 201 })":             "r",
		"return 'lone \\ud800 surrogate'":                       "lone \uFFFD surrogate",
		"return 'nul\\0 inside'":                                "nul\x00 inside",
		"return new Uint8Array([1,2,3,4]).subarray(1, 3)":       "\x02\x03",
		"return Promise.resolve({ then(r) { r('thenable') } })": "thenable",
		"": "",
	} {
		if got := output(t, "export function handle() { "+source+" }", &quickjs.Call{}); got != want {
			t.Errorf("%s: got %q, want %q", source, got, want)
		}
	}
	p := compile(t, "export function handle() { return 1n }")
	if _, err := run(t, p, &quickjs.Call{}); !strings.Contains(fmt.Sprint(err), "BigInt") {
		t.Errorf("a value without JSON: %v", err)
	}
}

func TestConsoleGoesToTheLog(t *testing.T) {
	var log bytes.Buffer
	out := output(t, `export function handle() { console.log("l", {a: 1}); console.error(new TypeError("bad")); console.debug("%s-%d%%", "x", 4); return "v" }`, &quickjs.Call{Log: &log})
	if out != "v" {
		t.Errorf("output %q", out)
	}
	if got := log.String(); !strings.HasPrefix(got, "l { a: 1 }\nTypeError: bad\n    at handle (user.js:1:") || !strings.HasSuffix(got, "\nx-4%\n") {
		t.Errorf("log:\n%s", got)
	}
}

func TestInspect(t *testing.T) {
	for expression, want := range map[string]string{
		`{a: 1, 'b-c': "it's", [Symbol('s')]: -0}`:        `{ a: 1, 'b-c': "it's", [Symbol(s)]: -0 }`,
		`[1, , 'x', undefined, null]`:                     `[ 1, <1 empty item>, 'x', undefined, null ]`,
		`new Map([['k', new Set([1])]])`:                  `Map(1) { 'k' => Set(1) { 1 } }`,
		`(() => { const o = {}; o.o = o; return o })()`:   `{ o: [Circular] }`,
		`class A {}, function f() {}, () => {}, 5n`:       `[class A] [Function: f] [Function (anonymous)] 5n`,
		`new (class Point { x = 1 })`:                     `Point { x: 1 }`,
		`{a: {b: {c: {d: {e: {f: 1}}}}}}`:                 "{ a: { b: { c: { d: { e: [Object] } } } } }",
		`new Date(0), /x/g, new Uint8Array(2)`:            `1970-01-01T00:00:00.000Z /x/g Uint8Array(2) [ 0, 0 ]`,
		`{ get g() { throw 1 }, set s(v) {} }`:            `{ g: [Getter], s: [Setter] }`,
		`Object.create(null)`:                             `[Object: null prototype] {}`,
		`new Proxy({}, { ownKeys() { throw 1 } })`:        `[value that cannot be shown]`,
		`"%s %i %j %o %x %", "a", 4.7, {b: 1}, "q", 1`:    `a 4 {"b":1} 'q' %x % 1`,
		`Array.from({length: 102}, () => 0).slice(0, 0)`:  `[]`,
		`{ toString() { throw 1 }, toJSON() { throw 1 }}`: `{ toString: [Function: toString], toJSON: [Function: toJSON] }`,
	} {
		if got := output(t, "export function handle() { console.log("+expression+") }", &quickjs.Call{}); got != want+"\n" {
			t.Errorf("%s:\n got %q\nwant %q", expression, got, want)
		}
	}
}

func TestStreamingIsSeenAsItComes(t *testing.T) {
	p := compile(t, `export async function handle() {
		for (let i = 0; i < 3; i++) { console.log("line", i); await new Promise(r => setTimeout(r, 60)) }
		return "end"
	}`)
	r, w := io.Pipe()
	go func() {
		res, err := run(t, p, &quickjs.Call{Stdout: w})
		if err == nil && (res.Output != nil || !res.Returned) {
			err = fmt.Errorf("result %+v", res)
		}
		_ = w.CloseWithError(err)
	}()
	var at []time.Time
	var got bytes.Buffer
	buf := make([]byte, 64)
	for {
		n, err := r.Read(buf)
		got.Write(buf[:n])
		at = append(at, time.Now())
		if err != nil {
			if err != io.EOF {
				t.Fatal(err)
			}
			break
		}
	}
	if got.String() != "line 0\nline 1\nline 2\nend" {
		t.Errorf("got %q", got.String())
	}
	if d := at[2].Sub(at[0]); d < 100*time.Millisecond {
		t.Errorf("three lines within %v: they were held back", d)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestWriterThatFailsEndsTheInvocation(t *testing.T) {
	gone := errors.New("client went away")
	p := compile(t, `export function handle() { try { for (;;) console.log("x") } catch {} }`)
	if _, err := run(t, p, &quickjs.Call{Stdout: failingWriter{gone}}); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
}

func TestOutputLimit(t *testing.T) {
	for _, source := range []string{
		"export function handle() { return 'x'.repeat(1001) }",
		"export function handle() { for (let i = 0; i < 200; i++) console.log('123456') }",
		"export default { fetch() { return new Response('x'.repeat(1001)) } }",
	} {
		if _, err := run(t, compile(t, source), &quickjs.Call{MaxOutput: 1000}); !errors.Is(err, quickjs.ErrOutputExceeded) {
			t.Errorf("%s: %v", source, err)
		}
	}
	if out := output(t, "export function handle() { console.log('x'.repeat(2000)); return 'short' }", &quickjs.Call{MaxOutput: 1000}); out != "short" {
		t.Errorf("a log longer than the output may be: %q", out)
	}
}

func TestEvents(t *testing.T) {
	p := compile(t, `export function handle(event) {
		const kind = event instanceof Uint8Array ? "bytes" : Array.isArray(event) ? "array" : event === null ? "null" : typeof event;
		return kind + ":" + (typeof event === "object" && kind !== "bytes" ? JSON.stringify(event) : String(event));
	}`)
	for event, want := range map[string]string{
		"":                 "string:",
		"plain text":       "string:plain text",
		`{"a":{"b":[1]}}`:  `object:{"a":{"b":[1]}}`,
		"[1,2]":            "array:[1,2]",
		"null":             "null:null",
		" 42 ":             "number:42",
		`"quoted"`:         "string:quoted",
		"{broken":          "string:{broken",
		"\xff\xfe\x00":     "bytes:255,254,0",
		"héllo \U0001F600": "string:héllo \U0001F600",
		"nul\x00 inside":   "string:nul\x00 inside",
		`{"__proto__":{}}`: `object:{"__proto__":{}}`,
		`{"a":1,"a":2}`:    `object:{"a":2}`,
		"1e400":            "number:Infinity",
		"\ufeff{}":         "string:\ufeff{}",
		"undefined":        "string:undefined",
		`"\ud800"`:         "string:\uFFFD",
	} {
		res, err := run(t, p, &quickjs.Call{Event: []byte(event)})
		if err != nil || string(res.Output) != want {
			t.Errorf("%q: got %q (%v), want %q", event, res.Output, err, want)
		}
	}
	big := `{"s":"` + strings.Repeat("x", 4<<20) + `"}`
	if res, err := run(t, compile(t, "export const handle = e => String(e.s.length)"), &quickjs.Call{Event: []byte(big)}); err != nil || string(res.Output) != fmt.Sprint(4<<20) {
		t.Errorf("a large event: %v", err)
	}
	if _, err := run(t, p, &quickjs.Call{Event: []byte(strings.Repeat("[", 1<<20))}); err == nil {
		t.Error("JSON nested a million deep was taken")
	}
}

func TestContext(t *testing.T) {
	call := &quickjs.Call{Event: []byte(`{"n":1}`), Context: quickjs.Context{
		FunctionID: "f1", FunctionName: "hello", Version: 3, InvocationID: "i1", TraceID: "t1",
		Caller: json.RawMessage(`{"user_id":"u","groups":["g"]}`),
	}}
	const source = `export function handle(event, c) {
		const f = flagbase.context;
		return [c.functionId, c.functionName, c.version, c.invocationId, c.traceId, c.caller.groups[0], c.event.n, c.event === event,
			c.remaining() > 0 && c.remaining() <= 20000, f.caller.user_id, f.event.n, f.traceId];
	}`
	if got, want := output(t, source, call), `["f1","hello",3,"i1","t1","g",1,true,true,"u",1,"t1"]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := output(t, "export const handle = (e, c) => c.caller", &quickjs.Call{Context: quickjs.Context{Caller: json.RawMessage("{broken")}}); got != "null" {
		t.Errorf("caller: %s", got)
	}
}

func TestSyntaxErrorsHaveAPlace(t *testing.T) {
	_, err := tryCompile(t, "export function handle() {\n  let x = ;\n}", nil)
	e := scriptError(t, err)
	if e.Name != "SyntaxError" || e.File != "user.js" || e.Line != 2 || e.Column != 11 {
		t.Errorf("got %+v", e)
	}
	_, err = tryCompile(t, "import x from 'nowhere'\nexport const handle = x", nil)
	if err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("import: %v", err)
	}
}

func TestErrorsOfEvaluation(t *testing.T) {
	_, err := tryCompile(t, "const f = () => { null.x }\nf()\nexport function handle() {}", nil)
	if e := scriptError(t, err); e.Name != "TypeError" || e.Line != 1 || !strings.Contains(e.Stack, "at <anonymous> (user.js:2:") && !strings.Contains(e.Stack, "(user.js:2:") && !strings.Contains(e.Stack, "user.js:2:") {
		t.Errorf("got %+v", e)
	}
	_, err = tryCompile(t, "await Promise.reject(new Error('late'))\nexport function handle() {}", nil)
	if e := scriptError(t, err); e.Message != "late" {
		t.Errorf("got %+v", e)
	}
	_, err = tryCompile(t, "flagbase.bucket.get('a', 'b'); export function handle() {}", nil)
	if err == nil || !strings.Contains(err.Error(), "while the script is being loaded") {
		t.Errorf("a host call at the top level: %v", err)
	}
	_, err = tryCompile(t, "await new Promise(() => {}); export function handle() {}", nil)
	if err == nil || !strings.Contains(err.Error(), "top level") {
		t.Errorf("a promise that never settles: %v", err)
	}
	var log bytes.Buffer
	if _, err = tryCompile(t, "console.log('loading'); await new Promise(r => setTimeout(r, 5)); export function handle() { return 'x' }", &quickjs.CompileOptions{Log: &log}); err != nil || log.String() != "loading\n" {
		t.Errorf("top-level await and console: %v %q", err, log.String())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := engine.Compile(ctx, "user.js", []byte("for (;;) {}"), nil); !errors.Is(err, sandbox.ErrInterrupted) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an endless loop at the top level: %v", err)
	}
}

func TestRuntimeErrors(t *testing.T) {
	p := compile(t, "function inner(x) {\n  return x.y.z\n}\nexport async function handle(e) {\n  await null\n  return inner(e)\n}")
	_, err := run(t, p, &quickjs.Call{Event: []byte("{}")})
	e := scriptError(t, err)
	if e.Name != "TypeError" || e.File != "user.js" || e.Line != 2 || strings.Contains(e.Stack, "flagbase:") ||
		!strings.Contains(e.Stack, "    at inner (user.js:2:") || !strings.Contains(e.Stack, "    at handle (user.js:6:") {
		t.Errorf("%v\n%s", e, e.Stack)
	}
	for source, want := range map[string]string{
		"throw 'a string'":  "thrown value: a string",
		"throw { code: 5 }": "thrown value: { code: 5 }",
		"throw null":        "thrown value: null",
		"throw undefined":   "thrown value: undefined",
		"throw new (class Mine extends Error { name = 'Mine' })('m')":                                                                             "Mine: m",
		"throw new Error('outer', { cause: new RangeError('why') })":                                                                              "Error: outer",
		"const e = new Error('x'); Object.defineProperty(e, 'stack', { get() { throw 1 } }); throw e":                                             "Error: x",
		"throw Object.defineProperties(new Error, { name: { get() { throw 1 } }, message: { get() { throw 1 } }, cause: { get() { throw 1 } } })": "Error",
		"throw new Proxy({}, { get() { throw 1 }, getPrototypeOf() { throw 1 } })":                                                                "thrown value: [value that cannot be shown]",
		"Error.prepareStackTrace = () => ({}); throw new Error('own format')":                                                                     "Error: own format",
	} {
		_, err := run(t, compile(t, "export function handle() { "+source+" }"), &quickjs.Call{})
		if e := scriptError(t, err); !strings.HasPrefix(e.Error(), want) {
			t.Errorf("%s: got %q, want %q", source, e.Error(), want)
		}
	}
	_, err = run(t, compile(t, "export function handle() { throw new Error('outer', { cause: new RangeError('why') }) }"), &quickjs.Call{})
	if e := scriptError(t, err); !strings.Contains(e.Stack, "\nCaused by: RangeError: why\n    at handle (user.js:1:") {
		t.Errorf("cause: %s", e.Stack)
	}
}

func TestRejections(t *testing.T) {
	for name, source := range map[string]string{
		"forgotten":     "Promise.reject(new TypeError('lost')); return 'x'",
		"in a callback": "setTimeout(async () => { throw new TypeError('lost') }, 1); await new Promise(r => setTimeout(r, 50))",
	} {
		_, err := run(t, compile(t, "export async function handle() {\n"+source+"\n}"), &quickjs.Call{})
		if e := scriptError(t, err); !e.Unhandled || e.Message != "lost" || e.Line != 2 {
			t.Errorf("%s: %+v", name, e)
		}
	}
	for name, source := range map[string]string{
		"caught":         "try { await Promise.reject(new Error('x')) } catch { return 'ok' }",
		"caught later":   "const p = Promise.reject(new Error('x')); p.catch(() => {}); return 'ok'",
		"all settled":    "await Promise.allSettled([Promise.reject(1), Promise.reject(2)]); return 'ok'",
		"in a microtask": "const p = Promise.reject(1); await null; await null; return p.catch(() => 'ok')",
	} {
		if got := output(t, "export async function handle() { "+source+" }", &quickjs.Call{}); got != "ok" {
			t.Errorf("%s: %q", name, got)
		}
	}
	_, err := run(t, compile(t, "export const handle = () => new Promise(() => {})"), &quickjs.Call{})
	if e := scriptError(t, err); !strings.Contains(e.Message, "nothing will settle") {
		t.Errorf("a promise that never settles: %v", e)
	}
	_, err = run(t, compile(t, "export const handle = () => { setTimeout(() => { throw new Error('timer') }); return new Promise(() => {}) }"), &quickjs.Call{})
	if e := scriptError(t, err); e.Message != "timer" {
		t.Errorf("a timer that throws: %v", e)
	}
}

func TestTimers(t *testing.T) {
	start := time.Now()
	got := output(t, `export async function handle() {
		const seen = [];
		setTimeout((a, b) => seen.push(a + b), 40, "a", "b");
		setTimeout(() => seen.push("first"), 5);
		clearTimeout(setTimeout(() => seen.push("never"), 10));
		let n = 0;
		await new Promise(done => { const id = setInterval(() => { if (++n === 3) { clearInterval(id); done() } }, 20) });
		queueMicrotask(() => seen.push("micro"));
		await null;
		return seen.join();
	}`, &quickjs.Call{})
	if got != "first,ab,micro" {
		t.Errorf("got %q", got)
	}
	if d := time.Since(start); d < 60*time.Millisecond {
		t.Errorf("took %v", d)
	}
	if got := value(t, `(() => { try { for (;;) setTimeout(() => {}, 1e9) } catch (e) { return e.name } })()`); got != "RangeError" {
		t.Errorf("endless timers: %q", got)
	}
	p := compile(t, "export const handle = () => new Promise(r => setTimeout(r, 60000))")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start = time.Now()
	if _, err := p.Run(ctx, &quickjs.Call{}); !errors.Is(err, sandbox.ErrInterrupted) || time.Since(start) > time.Second {
		t.Errorf("a long sleep: %v after %v", err, time.Since(start))
	}
	var log bytes.Buffer
	if got := output(t, `export function handle(e, c) { c.waitUntil(new Promise(r => setTimeout(() => { console.log("after"); r() }, 20))); return "x" }`, &quickjs.Call{Log: &log}); got != "x" || log.String() != "after\n" {
		t.Errorf("waitUntil: %q %q", got, log.String())
	}
}

func TestLimits(t *testing.T) {
	for name, source := range map[string]string{
		"loop":       "for (;;) {}",
		"recursion":  "const f = n => n < 2 ? n : f(n - 1) + f(n - 2); return f(60)",
		"regex":      "return /^(a+)+$/.test('a'.repeat(40) + 'b')",
		"microtasks": "const f = () => Promise.resolve().then(f); await f()",
		"timers":     "await new Promise(() => setInterval(() => {}, 0))",
		"finally":    "try { for (;;) {} } finally { for (;;) {} }",
		"sort":       "const a = Array.from({length: 1e6}, Math.random); for (;;) a.sort(() => Math.random() - 0.5)",
		"console":    "for (;;) console.log('x')",
	} {
		t.Run(name, func(t *testing.T) {
			p := compile(t, "export async function handle() { "+source+" }")
			ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
			defer cancel()
			start := time.Now()
			_, err := p.Run(ctx, &quickjs.Call{})
			if !errors.Is(err, sandbox.ErrInterrupted) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			if d := time.Since(start); d > 2*time.Second {
				t.Errorf("ended after %v", d)
			}
		})
	}
}

func TestOutOfMemory(t *testing.T) {
	for name, source := range map[string]string{
		"repeat":  "return 'x'.repeat(2 ** 29)",
		"array":   "const a = []; for (;;) a.push({})",
		"buffers": "const a = []; for (;;) a.push(new Uint8Array(1 << 20).fill(1))",
		"map":     "const m = new Map(); for (let i = 0; ; i++) m.set(i, [i])",
		"async":   "const a = []; for (;;) { a.push(new Array(1000).fill(a)); if (a.length % 100 === 0) await null }",
	} {
		t.Run(name, func(t *testing.T) {
			res, err := run(t, compile(t, "export async function handle() { "+source+" }"), &quickjs.Call{MemoryPages: 512})
			if !errors.Is(err, sandbox.ErrOutOfMemory) {
				t.Errorf("got %v", err)
			}
			if res == nil || res.PeakMemory > 512<<16 {
				t.Errorf("result %+v", res)
			}
		})
	}
	if got := output(t, "export function handle() { try { 'x'.repeat(2 ** 29) } catch (e) { return e.message } }", &quickjs.Call{}); got == "" {
		t.Error("a script cannot go on after it ran out of memory")
	}
}

func TestDeepRecursionIsARangeError(t *testing.T) {
	for _, source := range []string{
		"const f = () => f() + 1; f()",
		"let s = ''; for (let i = 0; i < 5e4; i++) s += '['; JSON.parse(s)",
		"const f = x => [x].map(f); f(1)",
		"new Function('return ' + '('.repeat(1e5) + ')'.repeat(1e5))",
		"const p = new Proxy({}, { get(t, k, r) { return r[k] } }); p.x",
		"const e = new Error(); Object.defineProperty(e, 'message', { get() { return e.message } }); e.message",
	} {
		got := value(t, "(() => { try { "+source+"; return 'no error' } catch (e) { return e.name } })()")
		if got != "RangeError" && got != "InternalError" && got != "SyntaxError" {
			t.Errorf("%s: %s", source, got)
		}
	}
	_, err := run(t, compile(t, "export const handle = () => handle() + 1"), &quickjs.Call{})
	if e := scriptError(t, err); e.Name != "RangeError" {
		t.Errorf("uncaught: %v", err)
	}
}

func TestRandomnessAndClocksAreLive(t *testing.T) {
	p := compile(t, "const atLoad = Math.random(); export const handle = () => [Math.random(), Math.random(), crypto.randomUUID(), Date.now(), performance.now()]")
	seen := make(map[string]bool)
	for range 20 {
		res, err := run(t, p, &quickjs.Call{})
		if err != nil {
			t.Fatal(err)
		}
		var v []any
		if err := json.Unmarshal(res.Output, &v); err != nil {
			t.Fatal(err)
		}
		for _, x := range v[:3] {
			if key := fmt.Sprint(x); seen[key] {
				t.Errorf("%s came twice", key)
			} else {
				seen[key] = true
			}
		}
		if ms := v[3].(float64); time.Since(time.UnixMilli(int64(ms))).Abs() > time.Minute {
			t.Errorf("Date.now() is %v", ms)
		}
		if ms := v[4].(float64); ms < 0 || ms > 10_000 {
			t.Errorf("performance.now() is %v", ms)
		}
	}
	if got := value(t, "crypto.getRandomValues(new Uint32Array(4)).some(x => x > 65535) && crypto.randomUUID().length === 36 && crypto.randomUUID()[14] === '4'"); got != "true" {
		t.Error(got)
	}
	if got := value(t, "[new Date(0).getTimezoneOffset(), new Date(2026, 0, 1).toISOString()]"); got != `[0,"2026-01-01T00:00:00.000Z"]` {
		t.Errorf("the time zone: %s", got)
	}
}

// TestInvocationsDoNotMix: 64 goroutines over four scripts, each checking that its
// own event, caller and host answers came back, and that nothing was left behind.
func TestInvocationsDoNotMix(t *testing.T) {
	programs := make([]*quickjs.Program, 4)
	for i := range programs {
		programs[i] = compile(t, fmt.Sprintf(`let runs = 0; const me = %d;
		export async function handle(event, c) {
			runs++; globalThis.last = (globalThis.last ?? "") + event.id;
			await null;
			return [me, runs, globalThis.last, event.id, c.caller.user_id, c.traceId, flagbase.bucket.get("b", event.id)].join();
		}`, i))
	}
	rounds := 4
	if testing.Short() {
		rounds = 2
	}
	var wg sync.WaitGroup
	for g := range 64 {
		wg.Go(func() {
			for r := range rounds {
				n := (g + r) % len(programs)
				id := fmt.Sprintf("e%d-%d", g, r)
				call := &quickjs.Call{
					Event:   []byte(`{"id":"` + id + `"}`),
					Context: quickjs.Context{TraceID: "t" + id, Caller: json.RawMessage(`{"user_id":"u` + id + `"}`)},
					Host:    hostFunc(func(op string, args [][]byte) ([]byte, error) { return append([]byte("got "), args[1]...), nil }),
				}
				res, err := programs[n].Run(context.Background(), call)
				want := fmt.Sprintf("%d,1,%s,%s,u%s,t%s,got %s", n, id, id, id, id, id)
				if err != nil || string(res.Output) != want {
					t.Errorf("got %q (%v), want %q", res.Output, err, want)
					return
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkRun(b *testing.B) {
	p := compile(b, "export const handle = (e) => ({ hello: e.name })")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Run(context.Background(), &quickjs.Call{Event: []byte(`{"name":"x"}`)}); err != nil {
			b.Fatal(err)
		}
	}
}

// What one instance that is never reset takes: the difference to BenchmarkRun is the
// price of a fresh start.
func BenchmarkUnreset(b *testing.B) {
	p := compile(b, "export const handle = (e) => ({ hello: e.name })")
	run, done, err := p.Unreset(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	defer done()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := run(&quickjs.Call{Event: []byte(`{"name":"x"}`)}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFetch(b *testing.B) {
	p := compile(b, `export default { async fetch(request) { const event = await request.json(); return Response.json({ hello: event.name }) } }`)
	call := &quickjs.Call{Request: &quickjs.Request{Method: "POST", URL: "http://localhost:8080/fn/hello", Body: []byte(`{"name":"x"}`),
		Header: map[string][]string{"Content-Type": {"application/json"}, "User-Agent": {"Go-http-client/1.1"}, "Content-Length": {"12"}, "Accept-Encoding": {"gzip"}}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Run(context.Background(), call); err != nil {
			b.Fatal(err)
		}
	}
}
