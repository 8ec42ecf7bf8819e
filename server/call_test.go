package server

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"flagbase.dev/function"
)

func TestParseCaller(t *testing.T) {
	got, err := parseCaller(`{"user_id":"u1","role":"admin","tenant_id":"t","email":"a@b.c","groups":["x","y"]}`)
	want := function.CallerContext{UserID: "u1", Role: "admin", TenantID: "t", Email: "a@b.c", Groups: []string{"x", "y"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v", got, err)
	}
	if _, err := parseCaller(`{}`); err != nil {
		t.Fatalf("an empty caller: %v", err)
	}
	for _, bad := range []string{
		``, `null`, `[]`, `"admin"`, `{`, `{"user_id":"u1"`, `{"user_id":"u1"}{}`, `{"user_id":"u1"} x`,
		`{"role":"user","role":"admin"}`,      // which of the two?
		`{"role":"user","Role":"admin"}`,      // encoding/json takes both for role
		`{"role":"user","\u0072ole":"admin"}`, // escaped
		`{"role":"user","ſole":"x"}`, `{"user_id":"a","uſer_id":"b"}`, `{"Role":"user"}`,
		`{"user_id":1}`, `{"groups":"x"}`, `{"uid":"u1"}`, `{"groups":[1]}`, `{"email":{"role":"admin"}}`,
		`{"user_id":"` + strings.Repeat("x", maxCallerBytes) + `"}`,
	} {
		if c, err := parseCaller(bad); err == nil {
			t.Errorf("%.60s was taken as %+v", bad, c)
		}
	}
}

func FuzzParseCaller(f *testing.F) {
	f.Add(`{"user_id":"u1","role":"admin","groups":["x"]}`)
	f.Add(`{"role":"a","ROLE":"b"}`)
	f.Add(`{"role":"a","ſ":"b"}`)
	f.Fuzz(func(t *testing.T, text string) {
		caller, err := parseCaller(text)
		if err != nil {
			return
		}
		// What was accepted says the same to a reader that knows nothing of Go's case folding.
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &members); err != nil {
			t.Fatalf("accepted %q, which is no object: %v", text, err)
		}
		if len(members) > 5 {
			t.Fatalf("accepted %q with %d members", text, len(members))
		}
		again, err := parseCaller(mustJSON(caller))
		if err != nil || mustJSON(again) != mustJSON(caller) {
			t.Fatalf("%+v does not survive its own JSON: %+v, %v", caller, again, err)
		}
	})
}

func TestWebPath(t *testing.T) {
	for _, test := range []struct {
		path, name, rest string
		ok               bool
	}{
		{"/fn/hello", "hello", "", true},
		{"/fn/hello/", "hello", "/", true},
		{"/fn/hello/a//b/../c", "hello", "/a//b/../c", true},
		{"/fn/he%6Clo/x%2Fy", "hello", "/x%2Fy", true},
		{"/fn/", "", "", false},
		{"/fn//x", "", "", false},
		{"/fn", "", "", false},
		{"/fnx/hello", "", "", false},
	} {
		name, rest, ok := webPath(test.path)
		if name != test.name || rest != test.rest || ok != test.ok {
			t.Errorf("%s: got %q %q %v", test.path, name, rest, ok)
		}
	}
}

func TestObjectNameKeepsTheKey(t *testing.T) {
	for path, key := range map[string]string{
		"/v1/buckets/b/a/b.txt": "a/b.txt", "/v1/buckets/b/a//b": "a//b", "/v1/buckets/b/%2E%2E%2Fx": "../x",
		"/v1/buckets/b/../x": "../x", "/v1/buckets/b/a%20b": "a b", "/v1/buckets/b//": "/",
	} {
		if !isObjectPath(path) {
			t.Errorf("%s is no object's path", path)
		}
		if bucket, got, err := objectName(path); err != nil || bucket != "b" || got != key {
			t.Errorf("%s: got %q %q %v", path, bucket, got, err)
		}
	}
	for _, path := range []string{"/v1/buckets", "/v1/buckets/", "/v1/buckets/b", "/v1/buckets/b/", "/v1/buckets//k"} {
		if isObjectPath(path) {
			t.Errorf("%s is taken for an object's path", path)
		}
	}
}

// TestResponsesOfFunctions shows what of a function's response reaches a client.
func TestResponsesOfFunctions(t *testing.T) {
	w := &recorder{header: http.Header{"Flagbase-Invocation-Id": {"inv"}}}
	err := writeWebResponse(w, &function.HTTPResponse{Status: 201, Body: []byte("hi"), Header: map[string][]string{
		"content-type": {"text/html"}, "Set-Cookie": {"a=1", "b=2"},
		"Connection": {"close, X-Secret"}, "X-Secret": {"1"}, "Transfer-Encoding": {"chunked"}, "Content-Length": {"9999"},
		"Keep-Alive": {"1"}, "Trailer": {"X"}, "Upgrade": {"h2c"},
		"flagbase-invocation-id": {"forged"}, "Traceparent": {"forged"}, "x-content-type-options": {"off"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := http.Header{
		"Content-Type": {"text/html"}, "Set-Cookie": {"a=1", "b=2"}, "Content-Length": {"2"},
		"Flagbase-Invocation-Id": {"inv"}, "X-Content-Type-Options": {"nosniff"},
	}
	if w.status != 201 || string(w.body) != "hi" || !reflect.DeepEqual(w.header, want) {
		t.Fatalf("got %d %q %v", w.status, w.body, w.header)
	}
	for name, bad := range map[string]*function.HTTPResponse{
		"status 99":      {Status: 99},
		"status 101":     {Status: 101},
		"status 1000":    {Status: 1000},
		"splitting":      {Header: map[string][]string{"X": {"a\r\nSet-Cookie: b"}}},
		"name":           {Header: map[string][]string{"X: y\r\nZ": {"a"}}},
		"empty name":     {Header: map[string][]string{"": {"a"}}},
		"null in header": {Header: map[string][]string{"X": {"a\x00"}}},
	} {
		w := &recorder{header: http.Header{}}
		if err := writeWebResponse(w, bad); err == nil || w.status != 0 || len(w.header) != 0 {
			t.Errorf("%s: %v, sent %d %v", name, err, w.status, w.header)
		}
	}
}

type recorder struct {
	header http.Header
	status int
	body   []byte
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { r.body = append(r.body, p...); return len(p), nil }
