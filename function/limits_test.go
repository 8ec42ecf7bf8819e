package function_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"flagbase.dev/function"
	"flagbase.dev/internal/testguest"
)

// endsInTime runs fn and fails unless it ends within 100 ms after the deadline, with
// deadline_exceeded. What a plain timer is late on the machine meanwhile is not the
// guest's fault and comes on top.
func endsInTime(t *testing.T, timeout time.Duration, fn func() error) {
	t.Helper()
	lag := testguest.MeasureLag()
	start := time.Now()
	err := fn()
	late := time.Since(start) - timeout
	allowed := 100*time.Millisecond + lag()
	if !errors.Is(err, function.ErrDeadlineExceeded) {
		t.Errorf("ended with %v, want deadline_exceeded", err)
	}
	if late > allowed || late < 0 {
		t.Errorf("ended %v after its deadline, %v is allowed", late, allowed)
	}
}

func TestDeadlines(t *testing.T) {
	// A server that takes a connection and never answers.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = silent.Close() }()
	w := newWorld(t, &function.EngineOptions{Fetch: &function.FetchPolicy{AllowPrivate: []string{silent.Addr().String()}}})
	ctx := t.Context()
	_, err = w.Upload(ctx, "echo", "", echoWASM(t))
	must(t, err)
	_, err = w.Upload(ctx, "recursive", "", testguest.WAT(t, `(module
		(func $fib (param i32) (result i32)
			(if (result i32) (i32.lt_s (local.get 0) (i32.const 2)) (then (local.get 0))
				(else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
		(func (export "handle") (drop (call $fib (i32.const 60)))))`))
	must(t, err)
	_, err = w.Upload(ctx, "tail", "", testguest.WAT(t, `(module (func $f return_call $f) (func (export "handle") call $f))`))
	must(t, err)
	_, err = w.Upload(ctx, "fill", "", testguest.WAT(t, `(module (memory (export "memory") 512)
		(func (export "handle") (loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 33000000)) (br $l))))`))
	must(t, err)
	_, err = w.Create(ctx, "js", "", "javascript", `export async function handle(event) {
		if (event.do == "loop") for (;;) {}
		if (event.do == "fib") { const fib = n => n < 2 ? n : fib(n-1) + fib(n-2); return fib(60) }
		if (event.do == "regexp") return /^(a+)+$/.test("a".repeat(40) + "b")
		if (event.do == "fetch") return await flagbase.http.fetch("http://`+silent.Addr().String()+`/")
	}`)
	must(t, err)
	for _, c := range []struct{ function, event string }{
		{"echo", `{"do":"loop"}`},
		{"echo", `{"do":"fib","count":60}`},
		{"echo", `{"do":"sleep"}`},
		{"recursive", ``},
		{"tail", ``},
		{"fill", ``},
		{"js", `{"do":"loop"}`},
		{"js", `{"do":"fib"}`},
		{"js", `{"do":"regexp"}`},
		{"js", `{"do":"fetch"}`},
	} {
		t.Run(c.function+c.event, func(t *testing.T) {
			const timeout = 300 * time.Millisecond
			endsInTime(t, timeout, func() error { return second1(w.InvokeWithEvent(ctx, c.function, timeout, []byte(c.event))) })
		})
	}
	// More busy guests than cores must not starve the deadlines of each other.
	t.Run("busy", func(t *testing.T) {
		const guests, timeout = 16, 500 * time.Millisecond
		done := make(chan error, guests)
		start := time.Now()
		for range guests {
			go func() { done <- second1(w.Invoke(ctx, "recursive", timeout)) }()
		}
		for range guests {
			if err := <-done; !errors.Is(err, function.ErrDeadlineExceeded) {
				t.Error(err)
			}
		}
		if late := time.Since(start) - timeout; late > 500*time.Millisecond {
			t.Errorf("the last of %d busy guests ended %v late", guests, late)
		}
	})
	out, err := w.InvokeWithEvent(ctx, "echo", 5*second, []byte(`{"do":"echo","text":"still here"}`))
	must(t, err)
	if string(out) != "still here" {
		t.Errorf("afterwards: %q", out)
	}
	inv, err := w.ListInvocations(ctx, "recursive")
	must(t, err)
	if !strings.HasPrefix(inv[0].Error, "deadline_exceeded") || inv[0].Success {
		t.Errorf("recorded as %+v", inv[0])
	}
}

func TestCancellation(t *testing.T) {
	w := newWorld(t, nil)
	_, err := w.Upload(t.Context(), "echo", "", echoWASM(t))
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	start := time.Now()
	_, err = w.InvokeWithEvent(ctx, "echo", 10*second, []byte(`{"do":"loop"}`))
	if !errors.Is(err, function.ErrCancelled) || time.Since(start) > 400*time.Millisecond {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

func TestLimits(t *testing.T) {
	w := newWorld(t, &function.EngineOptions{MemoryLimitBytes: 32 << 20, OutputLimitBytes: 1 << 20, LogLimitBytes: 64 << 10, EventLimitBytes: 1 << 10})
	ctx := t.Context()
	_, err := w.Upload(ctx, "echo", "", echoWASM(t))
	must(t, err)
	_, err = w.Create(ctx, "js", "", "javascript", `export function handle(e) {
		if (e.do == "allocate") { const a = []; for (;;) a.push(new Uint8Array(1 << 20).fill(1)) }
		if (e.do == "flood") return "x".repeat(2 << 20)
		return "fine"
	}`)
	must(t, err)
	for _, c := range []struct {
		function, do string
		want         error
	}{
		{"echo", "allocate", function.ErrMemoryExceeded},
		{"echo", "flood", function.ErrOutputExceeded},
		{"echo", "panic", function.ErrFunction},
		{"js", "allocate", function.ErrMemoryExceeded},
		{"js", "flood", function.ErrOutputExceeded},
	} {
		if _, err := w.InvokeWithEvent(ctx, c.function, 10*second, []byte(fmt.Sprintf(`{"do":%q,"text":"why"}`, c.do))); !errors.Is(err, c.want) {
			t.Errorf("%s %s: %v, want %v", c.function, c.do, err, c.want)
		}
	}
	res, err := w.Do(ctx, "echo", &function.InvokeRequest{Event: []byte(`{"do":"logflood"}`)})
	must(t, err)
	if len(res.Log) > 65<<10 || !strings.Contains(string(res.Log), "log cut at 65536 bytes") || string(res.Output) != "done" {
		t.Errorf("log of %d bytes, output %q", len(res.Log), res.Output)
	}
	if _, err := w.InvokeWithEvent(ctx, "echo", second, make([]byte, 2<<10)); !errors.Is(err, function.ErrTooLarge) {
		t.Errorf("large event: %v", err)
	}
	out, err := w.InvokeWithEvent(ctx, "js", 5*second, []byte(`{}`))
	must(t, err)
	if string(out) != "fine" {
		t.Errorf("afterwards: %q", out)
	}
}

func TestConcurrencyLimit(t *testing.T) {
	w := newWorld(t, &function.EngineOptions{MaxConcurrency: 2})
	ctx := t.Context()
	_, err := w.Upload(ctx, "echo", "", echoWASM(t))
	must(t, err)
	errs := make(chan error, 3)
	for range 3 {
		go func() { errs <- second1(w.InvokeWithEvent(ctx, "echo", 3*second, []byte(`{"do":"sleep"}`))) }()
	}
	if err := <-errs; !errors.Is(err, function.ErrBusy) {
		t.Errorf("the third of two: %v", err)
	}
	<-errs
	<-errs
}

// Invocations that would take more memory than all may have together are told to come
// back, rather than the machine swapping.
func TestTotalMemory(t *testing.T) {
	w, ctx := newWorld(t, &function.EngineOptions{TotalMemoryBytes: 24 << 20}), t.Context()
	_, err := w.Upload(ctx, "echo", "", echoWASM(t))
	must(t, err)
	if _, err := w.InvokeWithEvent(ctx, "echo", 10*second, []byte(`{"do":"allocate"}`)); !errors.Is(err, function.ErrBusy) {
		t.Errorf("allocating without end: %v", err)
	}
	if _, err := w.Upload(ctx, "large", "", testguest.WAT(t, `(module (memory 512) (func (export "handle")))`)); !errors.Is(err, function.ErrBusy) {
		t.Errorf("deploying what there is no memory for: %v", err)
	}
	out, err := w.InvokeWithEvent(ctx, "echo", 10*second, []byte(`{"do":"echo","text":"room again"}`))
	if err != nil || string(out) != "room again" {
		t.Errorf("afterwards: %q, %v", out, err)
	}
}

func TestCallDepth(t *testing.T) {
	w, ctx := newWorld(t, nil), t.Context()
	_, err := w.Create(ctx, "self", "", "javascript", `export const handle = n => { try { return flagbase.fn.invoke("self", n + 1) } catch (e) { return n + " " + e.message } }`)
	must(t, err)
	out, err := w.InvokeWithEvent(ctx, "self", 10*second, []byte("1"))
	must(t, err)
	if !strings.HasPrefix(string(out), "16 ") || !strings.Contains(string(out), "call_depth_exceeded") {
		t.Errorf("recursion ended with %q", out)
	}
}
