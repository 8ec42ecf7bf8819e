package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"flagbase.dev/client"
	"flagbase.dev/internal/app"
)

const webFunction = `export default { fetch(request) {
  const url = new URL(request.url);
  if (url.pathname === "/teapot") return new Response("short and stout", { status: 418, headers: { "X-Kind": "tea", "Connection": "close", "Flagbase-Invocation-Id": "forged" } });
  if (url.pathname === "/headers") return Response.json([...request.headers.keys()].sort());
  return new Response(request.method + " " + url.pathname + url.search);
} };`

// TestEveryRouteNeedsTheKey goes through the OpenAPI document, so that a new route cannot be forgotten.
func TestEveryRouteNeedsTheKey(t *testing.T) {
	t.Parallel()
	s := run(t, config(t, nil))
	resp, body := s.do(t, "GET", "/openapi.json", "", "Authorization", "")
	var doc struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Security    *[]any `json:"security"`
		} `json:"paths"`
	}
	if err := json.Unmarshal([]byte(body), &doc); err != nil || resp.StatusCode != 200 || !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Fatalf("%d %v %.200s", resp.StatusCode, err, body)
	}
	public := map[string]bool{"/healthz": true, "/readyz": true}
	checked := 0
	for path, operations := range doc.Paths {
		real := strings.NewReplacer("{id}", "x", "{version}", "1", "{name}", "x", "{path}", "a/b", "{key}", "k", "{table}", "t", "{bucket}", "b").Replace(path)
		if strings.Contains(real, "{") {
			t.Fatalf("no value for %s", path)
		}
		for method, op := range operations {
			method = strings.ToUpper(method)
			for name, header := range map[string]string{"no key": "", "a wrong key": "Bearer fb_wrong", "an empty key": "Bearer ", "another scheme": "Basic " + s.AdminKey} {
				resp, body := s.do(t, method, real, "", "Authorization", "", "Authorization", header)
				if public[path] {
					if resp.StatusCode != 200 {
						t.Errorf("%s %s with %s: %d", method, path, name, resp.StatusCode)
					}
					continue
				}
				if resp.StatusCode != 401 || !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Bearer ") {
					t.Errorf("%s %s (%s) with %s: %d %s", method, path, op.OperationID, name, resp.StatusCode, body)
				} else if method != "HEAD" {
					problem(t, resp, body, 401, "unauthorized")
				}
			}
			if open := op.Security != nil && len(*op.Security) == 0; open != public[path] {
				t.Errorf("%s %s: the document says that it needs a key: %v", method, path, !open)
			}
			checked++
		}
	}
	if checked < 45 {
		t.Fatalf("only %d operations in the document", checked)
	}
	for _, path := range []string{"/", "/v1", "/v1/nothing", "/metrics", "/fn/x", "/debug/pprof/", "/%68ealthz"} {
		if resp, _ := s.do(t, "GET", path, "", "Authorization", ""); resp.StatusCode != 401 {
			t.Errorf("GET %s without a key: %d", path, resp.StatusCode)
		}
	}
}

func TestPublicFunctionsNeedNoKey(t *testing.T) {
	t.Parallel()
	s := run(t, config(t, func(c *app.Config) { c.PublicFunctions = []string{"open"} }))
	for _, name := range []string{"open", "closed"} {
		if _, err := s.api.CreateFunction(t.Context(), name, &client.Code{Source: webFunction}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if resp, body := s.do(t, "GET", "/fn/open/hi?x=1", "", "Authorization", ""); resp.StatusCode != 200 || body != "GET /hi?x=1" {
		t.Errorf("open: %d %s", resp.StatusCode, body)
	}
	resp, body := s.do(t, "GET", "/fn/closed/hi", "", "Authorization", "")
	problem(t, resp, body, 401, "unauthorized")
	resp, body = s.do(t, "POST", "/v1/functions/open/invoke", "", "Authorization", "")
	problem(t, resp, body, 401, "unauthorized")
	// Anonymous callers cannot say who they are, and a visitor's own credentials reach the function.
	resp, body = s.do(t, "GET", "/fn/open/", "", "Authorization", "", "Flagbase-Caller", `{"role":"admin"}`)
	problem(t, resp, body, 403, "forbidden")
	if _, body := s.do(t, "GET", "/fn/open/headers", "", "Authorization", "", "Authorization", "Bearer visitor"); !strings.Contains(body, "authorization") {
		t.Errorf("the function sees %s", body)
	}
	if _, body := s.do(t, "GET", "/fn/open/headers", ""); strings.Contains(body, "authorization") {
		t.Errorf("the admin key reached the function: %s", body)
	}
}

func TestWebHandler(t *testing.T) {
	t.Parallel()
	s := run(t, config(t, nil))
	if _, err := s.api.CreateFunction(t.Context(), "web", &client.Code{Source: webFunction}, nil); err != nil {
		t.Fatal(err)
	}
	resp, body := s.do(t, "GET", "/fn/web/teapot", "")
	if resp.StatusCode != 418 || body != "short and stout" || resp.Header.Get("X-Kind") != "tea" {
		t.Errorf("%d %q %v", resp.StatusCode, body, resp.Header)
	}
	if id := resp.Header.Get("Flagbase-Invocation-Id"); id == "" || id == "forged" || resp.Header.Get("Traceparent") == "" || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%v", resp.Header)
	}
	if resp, body := s.do(t, "PATCH", "/fn/web/a//b?c=%20", ""); body != "PATCH /a//b?c=%20" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	if _, body := s.do(t, "GET", "/fn/web/headers", "", "Flagbase-Flag-Context", "a:b", "Te", "trailers", "X-Mine", "1"); !strings.Contains(body, "x-mine") || strings.Contains(body, "flagbase-") || strings.Contains(body, `"te"`) {
		t.Errorf("the function sees %s", body)
	}
	resp, body = s.do(t, "GET", "/fn/nothing/x", "")
	problem(t, resp, body, 404, "not_found")

	s.deployGuest(t) // no web handler: gets the body as its event
	if resp, body := s.do(t, "POST", "/fn/guest/x", "hello"); resp.StatusCode != 200 || body != "hello" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
}

func TestInvokeAnswersWithTheBytes(t *testing.T) {
	t.Parallel()
	s := run(t, config(t, nil))
	s.deployGuest(t)
	for event, kind := range map[string]string{
		`{"a":1}`: "application/json", "grüß dich": "text/plain; charset=utf-8", "bytes": "application/octet-stream", "": "text/plain; charset=utf-8",
	} {
		resp, body := s.do(t, "POST", "/v1/functions/guest/invoke", event)
		want := event
		if event == "bytes" {
			want = "\xff\xfe\x00\x01\x02"
		}
		if resp.StatusCode != 200 || body != want || resp.Header.Get("Content-Type") != kind || resp.Header.Get("Flagbase-Version") != "1" {
			t.Errorf("%q: %d %q %v", event, resp.StatusCode, body, resp.Header)
		}
	}
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	resp, _ := s.do(t, "POST", "/v1/functions/guest/invoke", "x", "traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
	if got := resp.Header.Get("Traceparent"); !strings.Contains(got, trace) || strings.Contains(got, "00f067aa0ba902b7") {
		t.Errorf("the caller's trace was not continued: %s", got)
	}
	inv, err := s.api.Invocation(t.Context(), resp.Header.Get("Flagbase-Invocation-Id"))
	if err != nil || inv.TraceID != trace || !inv.Success || inv.OutputSizeBytes != 1 {
		t.Errorf("%+v %v", inv, err)
	}
	if spans, err := s.api.Trace(t.Context(), trace); err != nil || len(spans) == 0 || spans[0].ParentID != "00f067aa0ba902b7" {
		t.Errorf("%+v %v", spans, err)
	}
}

// TestCallerAndFlagContextReachTheFunction when an admin says so.
func TestCallerAndFlagContextReachTheFunction(t *testing.T) {
	t.Parallel()
	s := run(t, config(t, nil))
	source := `export async function handle() {
  const record = await flagbase.table.put("seen", { by: flagbase.context.caller?.user_id ?? "nobody" });
  return JSON.stringify({ caller: flagbase.context.caller, id: record._id });
}`
	if _, err := s.api.CreateFunction(t.Context(), "who", &client.Code{Source: source}, nil); err != nil {
		t.Fatal(err)
	}
	r, err := s.api.Invoke(t.Context(), "who", &client.InvokeOptions{Caller: `{"user_id":"u1","groups":["g"]}`, FlagContext: "checkout:new"})
	if err != nil || !strings.Contains(string(r.Output), `"user_id":"u1"`) {
		t.Fatalf("%+v %v", r, err)
	}
	records, err := s.api.Query(t.Context(), "seen", &client.Query{Flag: "checkout:new"})
	if err != nil || len(records) != 1 || !strings.Contains(string(records[0].Data), "u1") {
		t.Fatalf("%+v %v", records, err)
	}
	if r, err := s.api.Invoke(t.Context(), "who", nil); err != nil || strings.Contains(string(r.Output), "u1") {
		t.Fatalf("the next invocation sees the caller of the one before: %+v %v", r, err)
	}
}

func TestFailuresOfFunctions(t *testing.T) {
	t.Parallel()
	s := run(t, config(t, func(c *app.Config) { c.Limits.Concurrency = 1 }))
	s.deployGuest(t)
	const path = "/v1/functions/guest/invoke"
	for event, code := range map[string]string{
		"fail": "function_error", "spin": "deadline_exceeded", "sleep 1h": "deadline_exceeded", "hoard": "memory_exceeded", "flood": "output_exceeded",
	} {
		timeout := "20s"
		if code == "deadline_exceeded" {
			timeout = "200ms"
		}
		resp, body := s.do(t, "POST", path, event, "Flagbase-Timeout", timeout)
		p := problem(t, resp, body, 502, code)
		id := resp.Header.Get("Flagbase-Invocation-Id")
		if id == "" || p["invocation_id"] != id || resp.Header.Get("Traceparent") == "" || resp.Header.Get("Flagbase-Error") != code {
			t.Errorf("%s: %v %s", event, resp.Header, body)
		}
		if event == "fail" && (p["exit_code"] != 3.0 || !strings.Contains(fmt.Sprint(p["stderr"]), "it went wrong")) {
			t.Errorf("fail: %s", body)
		}
		if inv, err := s.api.Invocation(t.Context(), id); err != nil || inv.Success || !strings.HasPrefix(inv.Error, code) {
			t.Errorf("%s is recorded as %+v, %v", event, inv, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	busy := make(chan struct{})
	go func() {
		defer close(busy)
		_, _ = s.api.Invoke(ctx, "guest", &client.InvokeOptions{Event: []byte("spin")})
	}()
	time.Sleep(300 * time.Millisecond)
	resp, body := s.do(t, "POST", path, "x")
	problem(t, resp, body, 429, "too_many_invocations")
	if resp.Header.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	cancel()
	<-busy
}

func TestProblemsOfRequests(t *testing.T) {
	t.Parallel()
	s := run(t, config(t, func(c *app.Config) { c.Limits.Event, c.Limits.Artifact = 1<<10, 8<<20 }))
	s.deployGuest(t)
	const invoke = "/v1/functions/guest/invoke"
	for _, test := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		code                     string
	}{
		{"no path", "GET", "/v1/nothing", "", nil, 404, "not_found"},
		{"no function", "POST", "/v1/functions/nobody/invoke", "", nil, 404, "not_found"},
		{"no version", "POST", invoke, "", []string{"Flagbase-Version", "9"}, 404, "not_found"},
		{"no method", "PATCH", "/v1/functions", "", nil, 405, "method_not_allowed"},
		{"GET invoke", "GET", invoke, "", nil, 405, "method_not_allowed"},
		{"large event", "POST", invoke, strings.Repeat("x", 1<<10+1), nil, 413, "too_large"},
		{"bad version", "POST", invoke, "", []string{"Flagbase-Version", "first"}, 400, "invalid_request"},
		{"bad timeout", "POST", invoke, "", []string{"Flagbase-Timeout", "soon"}, 400, "invalid_request"},
		{"negative timeout", "POST", invoke, "", []string{"Flagbase-Timeout", "-1s"}, 400, "invalid_request"},
		{"endless timeout", "POST", invoke, "", []string{"Flagbase-Timeout", "24h"}, 400, "invalid_request"},
		{"bad caller", "POST", invoke, "", []string{"Flagbase-Caller", `{"role":"a","role":"b"}`}, 400, "invalid_request"},
		{"two callers", "POST", invoke, "", []string{"Flagbase-Caller", `{}`, "Flagbase-Caller", `{}`}, 400, "invalid_request"},
		{"bad flag context", "POST", invoke, "", []string{"Flagbase-Flag-Context", "no-colon"}, 400, "invalid_request"},
		{"form", "POST", "/v1/functions", "a=b", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"},
		{"broken JSON", "POST", "/v1/functions", "{", []string{"Content-Type", "application/json"}, 400, "invalid_request"},
		{"unknown member", "POST", "/v1/functions", `{"nmae":"x"}`, []string{"Content-Type", "application/json"}, 400, "invalid_request"},
		{"bad source", "POST", "/v1/functions", `{"name":"bad","language":"javascript","source":"export default {"}`, []string{"Content-Type", "application/json"}, 422, "invalid_artifact"},
		{"bad name", "POST", "/v1/functions", `{"name":"Bad Name","language":"javascript","source":"1"}`, []string{"Content-Type", "application/json"}, 422, "invalid_request"},
		{"name taken", "POST", "/v1/functions", `{"name":"guest","language":"javascript","source":"export function handle() {}"}`, []string{"Content-Type", "application/json"}, 409, "already_exists"},
		{"deep JSON", "PUT", "/v1/flags/f", `{"variants":{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}}`, []string{"Content-Type", "application/json"}, 422, "invalid_request"},
		{"bad cursor", "GET", "/v1/functions/guest/invocations?cursor=x", "", nil, 422, "invalid_request"},
		{"bad limit", "GET", "/v1/functions/guest/invocations?limit=101", "", nil, 422, "invalid_request"},
		{"unknown parameter", "GET", "/v1/functions?nmae=x", "", nil, 422, "invalid_request"},
		{"reserved bucket", "PUT", "/v1/buckets/flagbase-artifacts/x", "x", nil, 403, "forbidden"},
		{"reserved bucket, listed", "GET", "/v1/buckets/flagbase-artifacts", "", nil, 403, "forbidden"},
		{"bad bucket", "PUT", "/v1/buckets/Not%20A%20Bucket/x", "x", nil, 422, "invalid_request"},
		{"key with NUL", "PUT", "/v1/buckets/b/a%00b", "x", nil, 422, "invalid_request"},
		{"no object", "GET", "/v1/buckets/b/nothing", "", nil, 404, "not_found"},
		{"no record", "GET", "/v1/tables/t/records/nothing", "", nil, 404, "not_found"},
		{"no trace", "GET", "/v1/traces/00000000000000000000000000000001", "", nil, 404, "not_found"},
		{"bad operator", "POST", "/v1/tables/t/query", `{"filters":[{"column":"a","operator":"; DROP TABLE","value":1}]}`, []string{"Content-Type", "application/json"}, 422, "invalid_request"},
	} {
		t.Run(test.name, func(t *testing.T) {
			resp, body := s.do(t, test.method, test.path, test.body, test.header...)
			problem(t, resp, body, test.status, test.code)
			if test.status == 405 && resp.Header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
}

func TestUploadsAreLimitedWhileTheyArrive(t *testing.T) {
	t.Parallel()
	s := run(t, config(t, func(c *app.Config) { c.Limits.Artifact = 1 << 20 }))
	body, form := io.Pipe()
	w := multipart.NewWriter(form)
	go func() {
		_ = w.WriteField("name", "big")
		part, _ := w.CreateFormFile("artifact", "big.wasm")
		chunk := make([]byte, 64<<10)
		for {
			if _, err := part.Write(chunk); err != nil {
				return
			}
		}
	}()
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+"/v1/functions", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.AdminKey)
	req.Header.Set("Content-Type", w.FormDataContentType())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_ = body.Close()
	answer, _ := io.ReadAll(resp.Body)
	problem(t, resp, string(answer), 413, "too_large")
}

// TestPagesOfInvocations: newest first, each once, through the client's iterator.
func TestPagesOfInvocations(t *testing.T) {
	t.Parallel()
	s := run(t, config(t, nil))
	s.deployGuest(t)
	const n = 105
	for i := range n {
		if _, err := s.api.Invoke(t.Context(), "guest", &client.InvokeOptions{Event: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
	page, err := s.api.Invocations(t.Context(), "guest", nil)
	if err != nil || len(page.Invocations) != 100 || page.Next == "" {
		t.Fatalf("%d %q %v", len(page.Invocations), page.Next, err)
	}
	next := n - 1
	for inv, err := range s.api.AllInvocations(t.Context(), "guest") {
		if err != nil {
			t.Fatal(err)
		}
		if inv.Output != fmt.Sprint(next) || inv.ExecutionMs == nil || inv.PeakMemoryBytes == 0 || inv.TraceID == "" {
			t.Fatalf("%d: %+v", next, inv)
		}
		next--
	}
	if next != -1 {
		t.Fatalf("stopped at %d", next)
	}
}

func TestOFREP(t *testing.T) {
	t.Parallel()
	s := run(t, config(t, nil))
	if _, err := s.api.PutFlag(t.Context(), &client.Flag{Key: "f", Enabled: true, Rules: []client.Rule{{Conditions: []client.Condition{{Attribute: "role", Operator: "eq", Value: json.RawMessage(`"admin"`)}}, Variant: "on"}}}); err != nil {
		t.Fatal(err)
	}
	resp, body := s.do(t, "POST", "/ofrep/v1/evaluate/flags/f", `{"context":{"targetingKey":"u","role":"admin"}}`)
	if resp.StatusCode != 200 || strings.TrimSpace(body) != `{"key":"f","reason":"TARGETING_MATCH","variant":"on","value":true}` {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	resp, body = s.do(t, "POST", "/ofrep/v1/evaluate/flags/nothing", `{}`)
	if resp.StatusCode != 404 || !strings.Contains(body, `"errorCode":"FLAG_NOT_FOUND"`) {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	if resp, body = s.do(t, "POST", "/ofrep/v1/evaluate/flags/f", `{"context":{"targetingKey":1}}`); resp.StatusCode != 400 || !strings.Contains(body, "INVALID_CONTEXT") {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	resp, body = s.do(t, "POST", "/ofrep/v1/evaluate/flags", `{"context":{"role":"user"}}`)
	tag := resp.Header.Get("ETag")
	if resp.StatusCode != 200 || tag == "" || !strings.Contains(body, `"variant":"off"`) {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	if resp, _ := s.do(t, "POST", "/ofrep/v1/evaluate/flags", `{"context":{"role":"user"}}`, "If-None-Match", tag); resp.StatusCode != 304 {
		t.Fatalf("the same again: %d", resp.StatusCode)
	}
	if resp, _ := s.do(t, "POST", "/ofrep/v1/evaluate/flags", `{"context":{"role":"admin"}}`, "If-None-Match", tag); resp.StatusCode != 200 {
		t.Fatalf("for somebody else: %d", resp.StatusCode)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	s := run(t, config(t, nil))
	s.deployGuest(t)
	fn, err := s.api.Function(t.Context(), "guest")
	if err != nil {
		t.Fatal(err)
	}
	s.do(t, "POST", "/v1/functions/guest/invoke", "x")
	s.do(t, "POST", "/v1/functions/"+fn.ID+"/invoke", "fail")
	s.do(t, "POST", "/v1/functions/made-up/invoke", "x")
	_, body := s.do(t, "GET", "/metrics", "")
	for _, line := range []string{
		`flagbase_invocations_total{function="guest",outcome="ok"} 1`,
		`flagbase_invocations_total{function="guest",outcome="function_error"} 1`,
		`flagbase_invocations_total{function="unknown",outcome="not_found"} 1`,
		`flagbase_invocation_duration_seconds_count{function="guest"} 2`,
		`flagbase_invocations_in_flight{function="guest"} 0`,
	} {
		if !strings.Contains(body, line) {
			t.Errorf("no %s in\n%s", line, body)
		}
	}
	if strings.Contains(body, "made-up") {
		t.Error("a caller can make labels")
	}
}
