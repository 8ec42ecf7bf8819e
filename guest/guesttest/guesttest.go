// Package guesttest stands in for flagbase where a function's tests run
// natively, with plain "go test":
//
//	func TestOrder(t *testing.T) {
//		host := guesttest.New(t)
//		host.SetCaller(invocation.Caller{UserID: "ada"})
//		host.SetFlag("discount", true)
//
//		out, err := host.Invoke([]byte(`{"item":"tea"}`))
//		...
//		if got := host.Records("orders"); len(got) != 1 { ... }
//	}
//
// Everything is in memory. It answers as flagbase does, but it is not the
// sandbox: no limits, no deadlines, no permissions, and memory that one
// invocation wrote is seen by the next.
package guesttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sort"
	"sync"
	"testing"
	"time"

	"flagbase.dev/guest/internal/abi"
	"flagbase.dev/guest/internal/registry"
	"flagbase.dev/guest/invocation"
)

// Host is the flagbase that the function under test sees. Its methods are safe
// for concurrent use.
type Host struct {
	t testing.TB

	mu        sync.Mutex
	event     []byte
	caller    *invocation.Caller
	traceID   string
	flags     map[string]bool
	variants  map[string]string
	secrets   map[string]string
	objects   map[string]map[string][]byte
	tables    map[string]*records
	functions map[string]func([]byte) ([]byte, error)
	outbound  http.Handler
	failures  map[string]error
	calls     []Call
	logs      []LogLine
	metrics   []Metric
	now       func() time.Time
}

// Call is one host call that the function made.
type Call struct {
	// Op is the host function, for example "bucket_put".
	Op string
	// Args are its arguments in order; numbers as decimal text.
	Args []string
}

// LogLine is one line written through package logs.
type LogLine struct {
	// Level is 0 debug, 1 info, 2 warn, 3 error.
	Level int
	Line  string
}

// Metric is one value published through package metric.
type Metric struct {
	Name  string
	Value float64
	Tags  map[string]string
}

// New installs a host for the length of the test. A program has one host, so a
// test that uses it cannot run in parallel with others: New panics under
// t.Parallel.
func New(t testing.TB) *Host {
	t.Helper()
	t.Setenv("FLAGBASE_GUESTTEST", t.Name()) // what it is for is its check against t.Parallel
	h := &Host{
		t:         t,
		traceID:   "4bf92f3577b34da6a3ce929d0e0e4736",
		flags:     map[string]bool{},
		variants:  map[string]string{},
		secrets:   map[string]string{},
		objects:   map[string]map[string][]byte{},
		tables:    map[string]*records{},
		functions: map[string]func([]byte) ([]byte, error){},
		failures:  map[string]error{},
		now:       func() time.Time { return time.Now().UTC() },
	}
	t.Cleanup(abi.Install(h))
	return h
}

// SetEvent sets the event that invocation.Event returns. Invoke sets it too.
func (h *Host) SetEvent(event []byte) { h.with(func() { h.event = bytes.Clone(event) }) }

// SetCaller sets the caller; without it an invocation has none.
func (h *Host) SetCaller(c invocation.Caller) { h.with(func() { h.caller = &c }) }

// SetTraceID sets the trace id. Defaults to one of 32 hexadecimal digits.
func (h *Host) SetTraceID(id string) { h.with(func() { h.traceID = id }) }

// SetFlag defines a boolean flag. Its variants are "on" and "off".
func (h *Host) SetFlag(key string, on bool) { h.with(func() { h.flags[key] = on }) }

// SetVariant defines a flag by the variant that the caller gets.
func (h *Host) SetVariant(key, variant string) { h.with(func() { h.variants[key] = variant }) }

// SetSecret grants a secret.
func (h *Host) SetSecret(name, value string) { h.with(func() { h.secrets[name] = value }) }

// SetClock replaces the time that records are stamped with.
func (h *Host) SetClock(now func() time.Time) { h.with(func() { h.now = now }) }

// PutObject stores an object for the function to find.
func (h *Host) PutObject(bucket, key string, data []byte) {
	h.with(func() { h.put(bucket, key, data) })
}

// Object returns a stored object, and false when there is none.
func (h *Host) Object(bucket, key string) ([]byte, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b, ok := h.objects[bucket][key]
	return bytes.Clone(b), ok
}

// PutRecord stores a record for the function to find; it fails the test when
// the value does not encode as a JSON object.
func (h *Host) PutRecord(table, id string, value any) {
	h.t.Helper()
	b, err := json.Marshal(value)
	if err == nil {
		h.with(func() { _, err = h.table(table).insert(id, b, h.now()) })
	}
	if err != nil {
		h.t.Fatalf("guesttest: put record %s/%s: %v", table, id, err)
	}
}

// Records returns the data of a table's records as JSON, by record id.
func (h *Host) Records(table string) map[string]json.RawMessage {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[string]json.RawMessage{}
	if t, ok := h.tables[table]; ok {
		for _, r := range t.rows {
			out[r.ID] = bytes.Clone(r.Data)
		}
	}
	return out
}

// HandleFunction defines a function that fn.Invoke finds under that name.
func (h *Host) HandleFunction(name string, f func(event []byte) ([]byte, error)) {
	h.with(func() { h.functions[name] = f })
}

// HandleHTTP answers the requests of packages fetch and httpclient. Without it
// every request is refused.
func (h *Host) HandleHTTP(handler http.Handler) { h.with(func() { h.outbound = handler }) }

// Fail makes every further call of a host function ("bucket_put") fail with
// err; nil makes it work again.
func (h *Host) Fail(op string, err error) { h.with(func() { h.failures[op] = err }) }

// Calls returns the host calls so far, in order.
func (h *Host) Calls() []Call {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Call(nil), h.calls...)
}

// Logs returns the log lines so far, in order.
func (h *Host) Logs() []LogLine {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]LogLine(nil), h.logs...)
}

// Metrics returns the published values so far, in order.
func (h *Host) Metrics() []Metric {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Metric(nil), h.metrics...)
}

// Invoke runs the handler that the program registered with guest.HandleEvent
// or HandleJSON and returns what it returned. What it wrote to os.Stdout is not
// part of that.
func (h *Host) Invoke(event []byte) ([]byte, error) {
	h.t.Helper()
	if registry.Event == nil {
		return nil, errors.New("guesttest: no event handler is registered: call guest.HandleEvent from an init function")
	}
	h.SetEvent(event)
	return registry.Event(event)
}

// Request runs the handler that the program registered with web.Handle, through
// the envelope that flagbase uses, and fails the test when there is none.
// httptest.NewRequest makes a suitable request.
func (h *Host) Request(r *http.Request) *http.Response {
	h.t.Helper()
	if registry.Web == nil {
		h.t.Fatal("guesttest: no web handler is registered: call web.Handle from an init function")
	}
	envelope, err := requestEnvelope(r)
	if err != nil {
		h.t.Fatalf("guesttest: %v", err)
	}
	h.SetEvent(envelope)
	out, err := registry.Web(envelope)
	if err != nil {
		h.t.Fatalf("guesttest: web handler: %v", err)
	}
	var e struct {
		Status  int         `json:"status"`
		Headers http.Header `json:"headers"`
		Body    []byte      `json:"body"`
	}
	if err := json.Unmarshal(out, &e); err != nil {
		h.t.Fatalf("guesttest: decode response: %v", err)
	}
	w := httptest.NewRecorder()
	for name, values := range e.Headers {
		w.Header()[name] = values
	}
	w.WriteHeader(e.Status)
	_, _ = w.Write(e.Body) // a recorder does not fail
	return w.Result()
}

func (h *Host) with(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

func (h *Host) put(bucket, key string, data []byte) {
	if h.objects[bucket] == nil {
		h.objects[bucket] = map[string][]byte{}
	}
	h.objects[bucket][key] = bytes.Clone(data)
}

func (h *Host) table(name string) *records {
	if h.tables[name] == nil {
		h.tables[name] = &records{}
	}
	return h.tables[name]
}

func (h *Host) keys(bucket string) []string {
	keys := make([]string, 0, len(h.objects[bucket]))
	for k := range h.objects[bucket] {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func notFound(what, name string) error { return fmt.Errorf("%s %q: not found", what, name) }
