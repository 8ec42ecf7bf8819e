package hostabi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"flagbase.dev/feature"
	"flagbase.dev/internal/database"
	"flagbase.dev/internal/egress"
	"flagbase.dev/internal/hostabi"
	"flagbase.dev/internal/sandbox"
	"flagbase.dev/internal/testguest"
	"flagbase.dev/storage"
	"flagbase.dev/table"
	"flagbase.dev/tracing"
)

// abi is the contract: version 1 of the host module.
var abi = []struct {
	name, params, result string
	pointers             int // pairs of pointer and length
}{
	{"result_read", "i32 i32", "i32", 1},
	{"error_read", "i32 i32", "i32", 1},
	{"event_read", "i32 i32", "i32", 1},
	{"get_trace_id", "i32 i32", "i32", 1},
	{"get_caller_context", "i32 i32", "i32", 1},
	{"bucket_get", "i32 i32 i32 i32", "i32", 2},
	{"bucket_put", "i32 i32 i32 i32 i32 i32", "i32", 3},
	{"bucket_delete", "i32 i32 i32 i32", "i32", 2},
	{"bucket_list", "i32 i32", "i32", 1},
	{"flag_eval", "i32 i32", "i32", 1},
	{"flag_eval_variant", "i32 i32", "i32", 1},
	{"fn_invoke", "i32 i32", "i32", 1},
	{"http_fetch", "i32 i32", "i32", 1},
	{"metrics_publish", "i32 i32 f64 i32 i32", "i32", 2},
	{"table_get", "i32 i32 i32 i32", "i32", 2},
	{"table_put", "i32 i32 i32 i32", "i32", 2},
	{"table_delete", "i32 i32 i32 i32", "i32", 2},
	{"table_query", "i32 i32 i32 i32", "i32", 2},
	{"event_len", "", "i32", 0},
	{"result_len", "", "i32", 0},
	{"error_len", "", "i32", 0},
	{"fn_invoke_event", "i32 i32 i32 i32", "i32", 2},
	{"log_write", "i32 i32 i32", "", 1},
	{"secret_get", "i32 i32", "i32", 1},
}

const failed = 0xFFFFFFFF

// proxyWAT exports each host function as it is, so that a test plays the guest.
func proxyWAT() string {
	var imports, funcs strings.Builder
	for _, f := range abi {
		param, result := "", ""
		if f.params != "" {
			param = "(param " + f.params + ")"
		}
		if f.result != "" {
			result = "(result " + f.result + ")"
		}
		fmt.Fprintf(&imports, "(import \"flagbase\" %q (func $%s %s %s))\n", f.name, f.name, param, result)
		fmt.Fprintf(&funcs, "(func (export %q) %s %s", f.name, param, result)
		for i := range strings.Fields(f.params) {
			fmt.Fprintf(&funcs, " (local.get %d)", i)
		}
		fmt.Fprintf(&funcs, " (call $%s))\n", f.name)
	}
	return "(module " + imports.String() + `(memory (export "memory") 2 4)` + funcs.String() + ")"
}

type guest struct {
	t    *testing.T
	inst *sandbox.Instance
	call *hostabi.Call
	next uint32
}

type functions map[string]func(event []byte) ([]byte, error)

func (f functions) InvokeFunction(_ context.Context, id string, event []byte) ([]byte, error) {
	fn, ok := f[id]
	if !ok {
		return nil, errors.New("open /secret/path: no such file")
	}
	return fn(event)
}

type metrics []hostabi.Metric

func (m *metrics) Publish(_ context.Context, metric hostabi.Metric) error {
	*m = append(*m, metric)
	return nil
}

type secrets map[string]string

func (s secrets) Secret(_ context.Context, function, name string) (string, error) {
	if v, ok := s[function+"/"+name]; ok {
		return v, nil
	}
	return "", hostabi.ErrNoSecret
}

// newGuest makes a proxy guest over real services.
func newGuest(t *testing.T, services *hostabi.Services) *guest {
	t.Helper()
	ctx := t.Context()
	rt, err := sandbox.NewRuntime(ctx, nil)
	must(t, err)
	t.Cleanup(func() { must(t, rt.Close(context.Background())) })
	must(t, rt.Register(ctx, hostabi.Module()))
	m, err := rt.Prepare(ctx, testguest.WAT(t, proxyWAT()))
	must(t, err)
	call := &hostabi.Call{Services: services, FunctionID: "fn_1", InvocationID: "inv_1", TraceID: strings.Repeat("ab", 16),
		Event: []byte("the event"), Caller: []byte(`{"user_id":"ada"}`), Flags: &feature.Context{TargetingKey: "ada"}, FlagTag: "checkout:new"}
	inst, err := m.Acquire(ctx, &sandbox.InstanceOptions{Host: call})
	must(t, err)
	t.Cleanup(inst.Release)
	return &guest{t: t, inst: inst, call: call, next: 4096}
}

func allServices(t *testing.T) (*hostabi.Services, *metrics) {
	ctx := t.Context()
	db, err := database.OpenSQLite(ctx, ":memory:")
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	flags, err := feature.NewEngine(ctx, nil)
	must(t, err)
	tables, err := table.NewEngine(ctx, db)
	must(t, err)
	tracer, err := tracing.NewRecorder(ctx, db, nil)
	must(t, err)
	t.Cleanup(func() { must(t, tracer.Close(context.Background())) })
	published := &metrics{}
	return &hostabi.Services{
		Buckets: storage.NewMemory(), Flags: flags, Tables: tables, Tracer: tracer, Metrics: published,
		Functions: functions{"twice": func(e []byte) ([]byte, error) { return append(e, e...), nil }},
		Fetch:     egress.New(&egress.Policy{}),
		Secrets:   secrets{"fn_1/key": "hunter22"},
	}, published
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// do calls a host function: strings become pointer and length.
func (g *guest) do(name string, args ...any) uint32 {
	g.t.Helper()
	var stack []uint64
	for _, a := range args {
		switch a := a.(type) {
		case string:
			if !g.inst.Write(g.next, []byte(a)) {
				g.t.Fatal("the test's arguments do not fit")
			}
			stack = append(stack, uint64(g.next), uint64(len(a)))
			g.next += uint32(len(a))
		case float64:
			stack = append(stack, math.Float64bits(a))
		case int:
			stack = append(stack, uint64(uint32(a)))
		}
	}
	results, err := g.inst.Call(name, stack...)
	must(g.t, err)
	if len(results) == 0 {
		return 0
	}
	return uint32(results[0])
}

// read is one of the *_read calls, with a buffer of 64 KiB.
func (g *guest) read(name string) string {
	g.t.Helper()
	n := g.do(name, 65536, 65536)
	b, ok := g.inst.Read(65536, n)
	if !ok {
		g.t.Fatal("result is not in memory")
	}
	return string(b)
}

// result is what a call that returned n left.
func (g *guest) result(n uint32) string {
	g.t.Helper()
	if n == failed {
		g.t.Fatalf("the call failed: %s", g.read("error_read"))
	}
	if l := g.do("result_len"); l != n {
		g.t.Errorf("result_len is %d, the call returned %d", l, n)
	}
	return g.read("result_read")
}

func (g *guest) wantError(got, want uint32, part string) {
	g.t.Helper()
	message := g.read("error_read")
	if got != want || !strings.Contains(message, part) || uint32(len(message)) != g.do("error_len") {
		g.t.Errorf("returned %d with %q, want %d with %q", got, message, want, part)
	}
}

func TestTheContractIsAllThere(t *testing.T) {
	var want []string
	for _, f := range abi {
		want = append(want, f.name)
	}
	slices.Sort(want)
	if got := hostabi.Names(); !slices.Equal(got, want) {
		t.Errorf("the module has %v, want %v", got, want)
	}
}

func TestWellBehaved(t *testing.T) {
	services, published := allServices(t)
	g := newGuest(t, services)
	ctx := t.Context()
	check := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	check(g.read("event_read"), "the event")
	check(fmt.Sprint(g.do("event_len")), "9")
	check(g.read("get_trace_id"), strings.Repeat("ab", 16))
	check(g.read("get_caller_context"), `{"user_id":"ada"}`)

	if g.do("bucket_put", "b", "k/1", "data") != 1 || g.do("bucket_put", "b", "k/2", "") != 1 {
		t.Error("bucket_put failed")
	}
	check(g.result(g.do("bucket_get", "b", "k/1")), "data")
	check(g.result(g.do("bucket_get", "b", "k/2")), "")
	check(g.result(g.do("bucket_list", "b")), `["k/1","k/2"]`)
	check(fmt.Sprint(g.do("bucket_delete", "b", "k/1")), "1")
	g.wantError(g.do("bucket_get", "b", "k/1"), failed, "bucket_get: ")

	_, err := services.Flags.Put(ctx, &feature.Flag{Key: "on", Enabled: true})
	must(t, err)
	_, err = services.Flags.Put(ctx, &feature.Flag{Key: "off"})
	must(t, err)
	check(fmt.Sprint(g.do("flag_eval", "on"), g.do("flag_eval", "off")), "1 0")
	g.wantError(g.do("flag_eval", "absent"), failed, "absent")
	check(g.result(g.do("flag_eval_variant", "on")), "on")

	stored := g.result(g.do("table_put", "people", `{"name":"Ada"}`))
	var record table.Record
	must(t, json.Unmarshal([]byte(stored), &record))
	if record.ID == "" || string(record.Data) != `{"name":"Ada"}` || record.FlagTag != "checkout:new" {
		t.Errorf("stored %s", stored)
	}
	check(g.result(g.do("table_get", "people", record.ID)), stored)
	var updated table.Record
	must(t, json.Unmarshal([]byte(g.result(g.do("table_put", "people", `{"_id":"`+record.ID+`","name":"Grace","_created_at":"x"}`))), &updated))
	if updated.ID != record.ID || string(updated.Data) != `{"name":"Grace"}` {
		t.Errorf("updated %+v", updated)
	}
	var found []table.Record
	must(t, json.Unmarshal([]byte(g.result(g.do("table_query", "people", `{"filters":[{"column":"name","operator":"eq","value":"Grace"}]}`))), &found))
	if len(found) != 1 || found[0].ID != record.ID {
		t.Errorf("found %+v", found)
	}
	check(fmt.Sprint(g.do("table_delete", "people", record.ID)), "1")
	check(g.result(g.do("table_query", "people", "")), "[]")
	g.wantError(g.do("table_put", "people", `{"_id":"unknown","name":"x"}`), failed, "unknown")

	check(g.result(g.do("fn_invoke", "twice")), "")
	check(g.result(g.do("fn_invoke_event", "twice", "ab")), "abab")
	check(fmt.Sprint(g.do("metrics_publish", "orders", 2.5, `{"shop":"x"}`)), "1")
	if len(*published) != 1 || (*published)[0].Value != 2.5 || (*published)[0].FunctionID != "fn_1" || (*published)[0].InvocationID != "inv_1" {
		t.Errorf("published %+v", *published)
	}
	var logged []string
	g.call.Log = func(level slog.Level, message string) { logged = append(logged, level.String()+" "+message) }
	g.do("log_write", 2, "careful")
	check(strings.Join(logged, ","), "WARN careful")
	check(g.result(g.do("secret_get", "key")), "hunter22")
	g.wantError(g.do("secret_get", "foreign"), failed, "no such secret")

	if g.call.HostCalls < 40 {
		t.Errorf("counted %d host calls", g.call.HostCalls)
	}
}

func TestFetch(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		_, _ = fmt.Fprint(w, r.Method, " ", r.Header.Get("X-One"))
	}))
	defer server.Close()
	services, _ := allServices(t)
	g := newGuest(t, services)
	request := `{"method":"POST","url":"` + server.URL + `","headers":{"x-one":"1"},"body":"aGk="}`
	g.wantError(g.do("http_fetch", request), failed, "http_fetch: ")
	services.Fetch = egress.New(&egress.Policy{AllowPrivate: []string{"127.0.0.1"}})
	var res struct {
		Status  int
		Headers map[string]string
		Body    []byte
	}
	must(t, json.Unmarshal([]byte(g.result(g.do("http_fetch", request))), &res))
	if res.Status != 200 || string(res.Body) != "POST 1" || res.Headers["set-cookie"] != "a=1\nb=2" {
		t.Errorf("response %+v", res)
	}
	g.wantError(g.do("http_fetch", `{"url":`), failed, "a request is JSON like")
}

// A pointer or length outside memory fails the call with a message; the guest and
// the server go on.
func TestBadPointers(t *testing.T) {
	services, _ := allServices(t)
	g := newGuest(t, services)
	for _, f := range abi {
		for bad := range f.pointers {
			for _, p := range [][2]uint32{{0xFFFFFFFF, 1}, {0, 0xFFFFFFFF}, {131072, 1}, {131071, 2}, {0x80000000, 0x80000000}, {0xFFFFFFFF, 0xFFFFFFFF}} {
				var stack []uint64
				pair := 0
				types := strings.Fields(f.params)
				for i := 0; i < len(types); i++ {
					switch {
					case types[i] == "f64":
						stack = append(stack, math.Float64bits(1))
					case f.name == "log_write" && i == 0:
						stack = append(stack, 1)
					default:
						ptr, size := uint64(16), uint64(1)
						if pair == bad {
							ptr, size = uint64(p[0]), uint64(p[1])
						}
						stack = append(stack, ptr, size)
						pair++
						i++
					}
				}
				before := g.call.HostCalls
				results, err := g.inst.Call(f.name, stack...)
				must(t, err)
				if g.call.HostCalls != before+1 {
					t.Errorf("%s was not counted", f.name)
				}
				if f.result != "" && len(results) == 1 {
					if strings.HasSuffix(f.name, "_read") || strings.HasPrefix(f.name, "get_") {
						if results[0] != 0 {
							t.Errorf("%s(%x) = %d", f.name, stack, results[0])
						}
					} else if results[0] != 0 && results[0] != failed {
						t.Errorf("%s(%x) = %d", f.name, stack, results[0])
					}
				}
			}
		}
	}
	if g.result(g.do("bucket_list", "b")) != "[]" {
		t.Error("the guest cannot go on")
	}
}

// A function imported with another type than it has is refused at deploy.
func TestWrongSignature(t *testing.T) {
	rt, err := sandbox.NewRuntime(t.Context(), nil)
	must(t, err)
	defer func() { _ = rt.Close(context.Background()) }()
	must(t, rt.Register(t.Context(), hostabi.Module()))
	var wat strings.Builder
	for _, f := range abi {
		wat.Reset()
		fmt.Fprintf(&wat, `(module (import "flagbase" %q (func (param i64 %s) (result f32))) (memory (export "memory") 1))`, f.name, f.params)
		_, err := rt.Prepare(t.Context(), testguest.WAT(t, wat.String()))
		if !errors.Is(err, sandbox.ErrInvalidModule) || !strings.Contains(err.Error(), "flagbase."+f.name) {
			t.Errorf("%s with a wrong type: %v", f.name, err)
		}
	}
	_, err = rt.Prepare(t.Context(), testguest.WAT(t, `(module (import "flagbase" "root_shell" (func)))`))
	if err == nil || !strings.Contains(err.Error(), "flagbase.root_shell, which flagbase does not provide") {
		t.Errorf("unknown import: %v", err)
	}
}

// A program in AssemblyScript that throws says what and where.
func TestAbort(t *testing.T) {
	rt, err := sandbox.NewRuntime(t.Context(), nil)
	must(t, err)
	defer func() { _ = rt.Close(context.Background()) }()
	must(t, rt.Register(t.Context(), hostabi.EnvModule()))
	m, err := rt.Prepare(t.Context(), testguest.WAT(t, `(module (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
		(memory (export "memory") 1) (data (i32.const 8) "\04\00\00\00n\00o\00\02\00\00\00f\00")
		(func (export "handle") (call $abort (i32.const 12) (i32.const 20) (i32.const 3) (i32.const 7)))
		(func (export "wild") (call $abort (i32.const -1) (i32.const 65535) (i32.const 0) (i32.const 0))))`))
	must(t, err)
	for export, want := range map[string]string{"handle": "abort: no (f:3:7)", "wild": "abort: "} {
		inst, err := m.Acquire(t.Context(), nil)
		must(t, err)
		_, err = inst.Call(export)
		var trap *sandbox.TrapError
		if !errors.As(err, &trap) || trap.Message != want {
			t.Errorf("%s: %v", export, err)
		}
		inst.Release()
	}
}

// Calls in an order nobody intended, and arguments that are no JSON.
func TestWrongOrderAndNonsense(t *testing.T) {
	services, _ := allServices(t)
	g := newGuest(t, services)
	if g.read("result_read") != "" || g.read("error_read") != "" || g.do("result_len") != 0 || g.do("error_len") != 0 {
		t.Error("there is a result before any call")
	}
	deep := strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000)
	for _, c := range []struct {
		got  uint32
		want uint32
		part string
	}{
		{g.do("table_put", "t", "[1]"), failed, "a record is a JSON object"},
		{g.do("table_put", "t", "null"), failed, "a record is a JSON object"},
		{g.do("table_put", "t", `{"_id":5}`), failed, `"_id" is a string`},
		{g.do("table_put", "t", deep), failed, "table_put: "},
		{g.do("table_put", "t'; DROP TABLE x", `{}`), failed, "table_put: "},
		{g.do("table_query", "t", `{"filters":[{"column":"a","operator":"; DROP","value":1}]}`), failed, "table_query: "},
		{g.do("metrics_publish", "", 1.0, "{}"), 0, "name"},
		{g.do("metrics_publish", "m", math.NaN(), "{}"), 0, "finite"},
		{g.do("metrics_publish", "m", 1.0, "[]"), 0, "JSON object"},
		{g.do("bucket_put", "flagbase-artifacts", "k", "v"), 0, "reserved"},
		{g.do("bucket_get", "../../etc", "passwd"), failed, "bucket_get: "},
		{g.do("bucket_put", "b", "a\x00b", "v"), 0, "bucket_put: "},
		{g.do("http_fetch", `{"url":"http://169.254.169.254/"}`), failed, "http_fetch: "},
	} {
		if c.got != c.want {
			t.Errorf("returned %d, want %d (%s)", c.got, c.want, c.part)
		}
	}
	g.wantError(g.do("bucket_put", "flagbase-artifacts", "k", "v"), 0, "reserved")
	// A message of unknown origin stays in the host.
	n := g.do("fn_invoke", "broken")
	if message := g.read("error_read"); n != failed || strings.Contains(message, "/secret/path") {
		t.Errorf("the guest was told %q", message)
	}
	g.do("log_write", 99, "no such level")
	if !strings.Contains(g.read("error_read"), "log level 99") {
		t.Error("a wrong log level passed")
	}
}

// Arguments larger than any service takes are refused before anything is made of
// them: quoting, copying or decoding what a guest can offer takes seconds and several
// times its memory.
func TestHugeArguments(t *testing.T) {
	services, _ := allServices(t)
	call := &hostabi.Call{Services: services, FunctionID: "fn_1", InvocationID: "inv_1"}
	huge := []byte("flagbase-" + strings.Repeat("\x00", 64<<20))
	small := []byte("1")
	for _, f := range hostabi.Names() {
		for _, count := range []int{1, 2, 3} {
			for at := range count {
				args := [][]byte{small, small, small}[:count]
				args[at] = huge
				start := time.Now()
				_, err := call.HostCall(t.Context(), f, args)
				if took := time.Since(start); took > 50*time.Millisecond {
					t.Errorf("%s with %d bytes as argument %d of %d took %v", f, len(huge), at+1, count, took)
				}
				if err != nil && len(err.Error()) > 5<<10 {
					t.Errorf("%s gave a message of %d bytes", f, len(err.Error()))
				}
			}
		}
	}
	g := newGuest(t, services)
	g.wantError(g.do("bucket_get", strings.Repeat("b", 4097), "k"), failed, "argument 1 has 4097 bytes, the limit is 4096")
	headers := `{"headers":{` + strings.Repeat(`"a":"",`, 20_000) + `"a":""}}`
	if _, err := call.HostCall(t.Context(), "http_fetch", [][]byte{[]byte(headers)}); err == nil || !strings.Contains(err.Error(), "the headers have") {
		t.Errorf("20,000 headers: %v", err)
	}
}

// A guest that calls in a loop, or reads a secret in one, neither floods the recorder
// nor grows the host's memory.
func TestLoopsOfCalls(t *testing.T) {
	services, _ := allServices(t)
	services.Secrets = secrets{"fn_1/key": "hunter22"}
	call := &hostabi.Call{Services: services, FunctionID: "fn_1", InvocationID: "inv_1"}
	ctx, span := services.Tracer.Start(t.Context(), "invoke", nil)
	for range 2000 {
		if _, err := call.HostCall(ctx, "secret_get", [][]byte{[]byte("key")}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := call.HostCall(ctx, "bucket_get", [][]byte{[]byte("Hunter22hunter22"), []byte("k")})
	span.End(err)
	must(t, services.Tracer.Flush(ctx))
	spans, err := services.Tracer.Trace(ctx, span.Context().TraceIDString())
	must(t, err)
	if len(spans) != 1001 || call.HostCalls != 2001 || len(call.SecretValues) != 1 {
		t.Errorf("%d spans, %d host calls, %d secrets", len(spans), call.HostCalls, len(call.SecretValues))
	}
}

// A secret that a guest puts into a call does not come back in that call's span.
func TestSecretsStayOutOfSpans(t *testing.T) {
	services, _ := allServices(t)
	services.Secrets = secrets{"fn_1/key": "hunter22"}
	call := &hostabi.Call{Services: services, FunctionID: "fn_1"}
	ctx, span := services.Tracer.Start(t.Context(), "invoke", nil)
	_, err := call.HostCall(ctx, "secret_get", [][]byte{[]byte("key")})
	must(t, err)
	if _, err := call.HostCall(ctx, "flag_eval", [][]byte{[]byte("hunter22")}); err == nil || !strings.Contains(err.Error(), "hunter22") {
		t.Errorf("the guest was told %v", err)
	}
	span.End(nil)
	must(t, services.Tracer.Flush(ctx))
	spans, err := services.Tracer.Trace(ctx, span.Context().TraceIDString())
	must(t, err)
	text, _ := json.Marshal(spans)
	if strings.Contains(string(text), "hunter22") || !strings.Contains(string(text), "[secret]") {
		t.Errorf("spans %s", text)
	}
}

// Of the names that begin with an underscore, only a record's own are not data.
func TestPutKeepsUnderscoredNames(t *testing.T) {
	services, _ := allServices(t)
	call := &hostabi.Call{Services: services}
	record, err := call.HostCall(t.Context(), "table_put", [][]byte{[]byte("t"), []byte(`{"_type":"x","_flag":"a:b","_created_at":1}`)})
	must(t, err)
	if !strings.Contains(string(record), `"data":{"_type":"x"}`) || strings.Contains(string(record), "a:b") {
		t.Errorf("stored %s", record)
	}
}

// Without services every call says so.
func TestNothingWired(t *testing.T) {
	g := newGuest(t, &hostabi.Services{})
	for _, c := range []struct {
		got  uint32
		part string
	}{
		{g.do("bucket_get", "b", "k"), "buckets"},
		{g.do("flag_eval", "f"), "flags"},
		{g.do("table_get", "t", "1"), "tables"},
		{g.do("fn_invoke", "f"), "functions"},
		{g.do("http_fetch", "{}"), "requests"},
		{g.do("secret_get", "s"), "secret"},
	} {
		if c.got != failed {
			t.Errorf("%s: returned %d", c.part, c.got)
		}
	}
}

// The deadline reaches into every call.
func TestDeadlineInHostCall(t *testing.T) {
	services, _ := allServices(t)
	services.Functions = functions{"slow": nil}
	rt, err := sandbox.NewRuntime(t.Context(), nil)
	must(t, err)
	defer func() { _ = rt.Close(context.Background()) }()
	must(t, rt.Register(t.Context(), hostabi.Module()))
	m, err := rt.Prepare(t.Context(), testguest.WAT(t, `(module (import "flagbase" "event_len" (func $f (result i32)))
		(memory (export "memory") 1) (func (export "handle") (loop $l (drop (call $f)) (br $l))))`))
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	inst, err := m.Acquire(ctx, &sandbox.InstanceOptions{Host: &hostabi.Call{Services: services}})
	must(t, err)
	defer inst.Release()
	start := time.Now()
	_, err = inst.Call("handle")
	if !errors.Is(err, sandbox.ErrInterrupted) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 300*time.Millisecond {
		t.Errorf("a loop of host calls ended with %v after %v", err, time.Since(start))
	}
}
