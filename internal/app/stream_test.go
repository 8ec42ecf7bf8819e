package app_test

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"flagbase.dev/client"
)

// TestStreamArrivesAsItIsPrinted: lines printed a second apart are seen a second apart.
func TestStreamArrivesAsItIsPrinted(t *testing.T) {
	t.Parallel()
	s := run(t, config(t, nil))
	s.deployGuest(t)
	for _, accept := range []string{"*/*", "text/event-stream"} {
		t.Run(accept, func(t *testing.T) {
			t.Parallel()
			req, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+"/v1/functions/guest/invoke/stream", strings.NewReader("ticks 3"))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+s.AdminKey)
			req.Header.Set("Accept", accept)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.Header.Get("Flagbase-Invocation-Id") == "" || resp.Header.Get("Traceparent") == "" {
				t.Errorf("%v", resp.Header)
			}
			var times []time.Time
			var all strings.Builder
			lines := bufio.NewScanner(resp.Body)
			for lines.Scan() {
				all.WriteString(lines.Text() + "\n")
				if strings.Contains(lines.Text(), "tick") {
					times = append(times, time.Now())
				}
			}
			if len(times) != 3 || lines.Err() != nil {
				t.Fatalf("%d lines, %v:\n%s", len(times), lines.Err(), &all)
			}
			for i := 1; i < 3; i++ {
				if gap := times[i].Sub(times[i-1]); gap < 700*time.Millisecond || gap > 1300*time.Millisecond {
					t.Errorf("line %d came %v after the one before", i+1, gap)
				}
			}
			if accept != "*/*" && (resp.Header.Get("Content-Type") != "text/event-stream" || !strings.Contains(all.String(), "event: done\ndata: {\"invocation_id\":\""+resp.Header.Get("Flagbase-Invocation-Id"))) {
				t.Errorf("%v\n%s", resp.Header, &all)
			}
		})
	}
}

func TestAStreamThatFailsSaysSoAtItsEnd(t *testing.T) {
	t.Parallel()
	s := run(t, config(t, nil))
	s.deployGuest(t)
	var out bytes.Buffer
	result, err := s.api.InvokeStream(t.Context(), "guest", &client.InvokeOptions{Event: []byte("fail")}, &out)
	failure := client.ErrorOf(err)
	if failure == nil || failure.Code != "function_error" || failure.ExitCode == nil || *failure.ExitCode != 3 || out.String() != "before " || failure.InvocationID != result.InvocationID {
		t.Fatalf("%q %+v %v", &out, result, err)
	}
	// Before the first byte, a failure is still a status.
	resp, body := s.do(t, "POST", "/v1/functions/guest/invoke/stream", "fail-silent")
	problem(t, resp, body, 502, "function_error")

	resp, body = s.do(t, "POST", "/v1/functions/guest/invoke/stream", "fail", "Accept", "text/event-stream")
	if resp.StatusCode != 200 || !strings.HasPrefix(body, "data: before \n\nevent: error\ndata: {") || !strings.Contains(body, `"code":"function_error"`) || strings.Contains(body, "event: done") {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
}

// TestAClientThatLeavesEndsTheInvocation, both for a stream and for an answer it waits for.
func TestAClientThatLeavesEndsTheInvocation(t *testing.T) {
	t.Parallel()
	s := run(t, config(t, nil))
	s.deployGuest(t)
	for _, suffix := range []string{"/invoke", "/invoke/stream"} {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		req, _ := http.NewRequestWithContext(ctx, "POST", s.URL+"/v1/functions/guest"+suffix, strings.NewReader("spin"))
		req.Header.Set("Authorization", "Bearer "+s.AdminKey)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
		}
		cancel()
		left := time.Now()
		for {
			page, err := s.api.Invocations(t.Context(), "guest", &client.PageOptions{Limit: 1})
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Invocations) == 1 && page.Invocations[0].CompletedAt != nil {
				if inv := page.Invocations[0]; inv.Success || !strings.HasPrefix(inv.Error, "cancelled") || inv.CompletedAt.Sub(left) > 500*time.Millisecond {
					t.Errorf("%s: %+v, %v after the client left", suffix, inv, inv.CompletedAt.Sub(left))
				}
				break
			}
			if time.Since(left) > 5*time.Second {
				t.Fatalf("%s: the invocation goes on", suffix)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}
