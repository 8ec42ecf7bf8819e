package app_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"flagbase.dev/client"
	"flagbase.dev/internal/app"
)

// What a function computes is limited, recorded and counted; more invocations than may run or wait are
// told to come back.
func TestComputeAndQueue(t *testing.T) {
	t.Parallel()
	s := run(t, config(t, func(c *app.Config) {
		c.Limits.Compute = 300 * time.Millisecond
		c.Limits.Concurrency, c.Limits.Queue = 1, 1
	}))
	source := `export async function handle(e) {
		if (e.do == "loop") for (;;) {}
		await new Promise(r => setTimeout(r, e.wait ?? 0))
		return "done" }`
	if _, err := s.api.CreateFunction(t.Context(), "busy", &client.Code{Language: "javascript", Source: source}, nil); err != nil {
		t.Fatal(err)
	}
	resp, body := s.do(t, "POST", "/v1/functions/busy/invoke", `{"do":"loop"}`)
	problem(t, resp, body, 502, "compute_exceeded")
	page, err := s.api.Invocations(t.Context(), "busy", nil)
	if err != nil || len(page.Invocations) != 1 {
		t.Fatal(page, err)
	}
	inv := page.Invocations[0]
	if inv.ComputeMs == nil || *inv.ComputeMs < 300 || *inv.ComputeMs > *inv.ExecutionMs || inv.Version != 1 || !strings.HasPrefix(inv.Error, "compute_exceeded: ") {
		t.Errorf("recorded %+v", inv)
	}
	_, metrics := s.do(t, "GET", "/metrics", "")
	var seconds float64
	if _, line, ok := strings.Cut(metrics, `flagbase_invocation_compute_seconds_total{function="busy"} `); ok {
		fmt.Sscan(line, &seconds)
	}
	if seconds < .3 || !strings.Contains(metrics, `flagbase_invocations_total{function="busy",outcome="compute_exceeded"} 1`) {
		t.Errorf("%v seconds are counted", seconds)
	}
	if _, document := s.do(t, "GET", "/openapi.json", ""); !strings.Contains(document, `"cpu_ms"`) {
		t.Error("the OpenAPI document does not know cpu_ms")
	}

	// Waiting is no computing: one waits for itself, one for its turn, and for more there is no place.
	var all sync.WaitGroup
	var mu sync.Mutex
	outcomes := map[int]int{}
	for range 4 {
		all.Go(func() {
			resp, body := s.do(t, "POST", "/v1/functions/busy/invoke", `{"wait":700}`)
			if resp.StatusCode == 429 {
				problem(t, resp, body, 429, "too_many_invocations")
				if resp.Header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
			}
			mu.Lock()
			defer mu.Unlock()
			outcomes[resp.StatusCode]++
		})
	}
	all.Wait()
	if outcomes[200] < 1 || outcomes[429] < 2 || outcomes[200]+outcomes[429] != 4 {
		t.Errorf("answers by status: %v", outcomes)
	}
}
