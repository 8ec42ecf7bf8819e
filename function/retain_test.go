package function_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"flagbase.dev/function"
)

// The newest of each function are kept, and nothing is deleted that still runs.
func TestRetention(t *testing.T) {
	w, ctx := newWorld(t, &function.EngineOptions{HistoryPerFunction: 50}), t.Context()
	_, err := w.Upload(ctx, "constant", "", constant(t))
	must(t, err)
	_, err = w.Upload(ctx, "other", "", constant(t))
	must(t, err)
	_, err = w.Create(ctx, "waits", "", "javascript", `export async function handle() { await new Promise(r => setTimeout(r, 1e6)) }`)
	must(t, err)
	running, cancel := context.WithCancel(ctx)
	began, ended := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = w.Do(running, "waits", &function.InvokeRequest{Started: func(id, _ string) { began <- id }})
	}()
	id := <-began
	for range 10 {
		_, err := w.Do(ctx, "other", nil)
		must(t, err)
	}
	var newest string
	for range 600 {
		res, err := w.Do(ctx, "constant", nil)
		must(t, err)
		newest = res.InvocationID
	}
	count := func(name string) int {
		page, err := w.Invocations(ctx, name, &function.InvocationsOptions{Limit: 1000})
		must(t, err)
		if name == "constant" && page.Invocations[0].ID != newest {
			t.Fatalf("the newest invocation is %s, not %s", page.Invocations[0].ID, newest)
		}
		return len(page.Invocations)
	}
	// 200 above the limit are let be.
	for end := time.Now().Add(20 * second); count("constant") > 50+200; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d invocations are kept", count("constant"))
		}
	}
	if n := count("constant"); n < 50 {
		t.Errorf("only %d of the newest 50 are kept", n)
	}
	if n := count("other"); n != 10 {
		t.Errorf("%d of another function's 10 are kept", n)
	}
	if inv, err := w.GetInvocation(ctx, id); err != nil || inv.CompletedAt != nil {
		t.Errorf("the one that runs: %+v, %v", inv, err)
	}
	cancel()
	<-ended
	if inv, err := w.GetInvocation(ctx, id); err != nil || inv.CompletedAt == nil {
		t.Errorf("when it had ended: %+v, %v", inv, err)
	}
}

func ExampleEngineOptions_history() {
	ctx := context.Background()
	engine, err := function.NewEngine(ctx, &function.EngineOptions{HistoryAge: 7 * 24 * time.Hour, HistoryPerFunction: -1})
	fmt.Println(err)
	engine.Close(ctx)
	// Output: <nil>
}
