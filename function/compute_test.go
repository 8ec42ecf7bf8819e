package function_test

import (
	"errors"
	"testing"
	"time"

	"flagbase.dev/function"
)

// Compute time is what the guest's own code took, not what it waited for.
func TestComputeTime(t *testing.T) {
	w, ctx := newWorld(t, nil), t.Context()
	_, err := w.Upload(ctx, "echo", "", echoWASM(t))
	must(t, err)
	_, err = w.Create(ctx, "js", "", "javascript", `
		const spin = ms => { const end = Date.now() + ms; while (Date.now() < end) for (let i = 0; i < 1e4; i++); }
		export async function handle(e) {
			if (e.do == "sleep") await new Promise(r => setTimeout(r, 300))
			if (e.do == "spin") spin(300)
			if (e.do == "loop") for (;;) {}
			return "ok"
		}`)
	must(t, err)
	for _, c := range []struct {
		name        string
		least, most time.Duration
	}{
		{"sleep", 0, 200 * time.Millisecond},
		{"spin", 200 * time.Millisecond, 10 * second},
	} {
		res, err := w.Do(ctx, "js", &function.InvokeRequest{Event: []byte(`{"do":"` + c.name + `"}`)})
		must(t, err)
		if res.Compute < c.least || res.Compute > c.most || res.Compute > res.Duration || res.Duration < 290*time.Millisecond { // Date.now() counts whole milliseconds
			t.Errorf("%s computed for %v of %v", c.name, res.Compute, res.Duration)
		}
		inv, err := w.GetInvocation(ctx, res.InvocationID)
		must(t, err)
		if inv.ComputeMs == nil || *inv.ComputeMs != res.Compute.Milliseconds() || inv.Version != 1 {
			t.Errorf("%s is recorded as %+v", c.name, inv)
		}
	}
	for _, c := range []struct{ function, event string }{{"js", `{"do":"loop"}`}, {"echo", `{"do":"loop"}`}, {"echo", `{"do":"fib","count":60}`}} {
		start := time.Now()
		res, err := w.Do(ctx, c.function, &function.InvokeRequest{Event: []byte(c.event), Timeout: 20 * second, ComputeLimit: 200 * time.Millisecond})
		if !errors.Is(err, function.ErrComputeExceeded) || time.Since(start) > 10*second || res.Compute < 200*time.Millisecond {
			t.Errorf("%s %s: %v after %v, %+v", c.function, c.event, err, time.Since(start), res)
		}
	}
	// Waiting is no computing.
	_, err = w.Do(ctx, "js", &function.InvokeRequest{Event: []byte(`{"do":"sleep"}`), ComputeLimit: 250 * time.Millisecond})
	must(t, err)
}

func TestComputeLimitOfTheEngine(t *testing.T) {
	w := newWorld(t, &function.EngineOptions{ComputeLimit: 200 * time.Millisecond})
	_, err := w.Upload(t.Context(), "echo", "", echoWASM(t))
	must(t, err)
	// A request cannot raise it.
	_, err = w.Do(t.Context(), "echo", &function.InvokeRequest{Event: []byte(`{"do":"loop"}`), Timeout: 20 * second, ComputeLimit: 10 * second})
	if !errors.Is(err, function.ErrComputeExceeded) {
		t.Errorf("ended with %v", err)
	}
}
