package app_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"flagbase.dev/client"
)

func TestObjectsOfAnyKey(t *testing.T) {
	t.Parallel()
	s := run(t, config(t, nil))
	for _, key := range []string{"a", "a/b", "a//b", "../../etc/passwd", ".", "..", "/", "a b?c#d%2F", "ü/é", strings.Repeat("k", 1024)} {
		body := "body of " + key
		object, err := s.api.PutObject(t.Context(), "b", key, strings.NewReader(body), "text/plain")
		if err != nil || object.Key != key || object.Size != int64(len(body)) {
			t.Fatalf("put %q: %+v %v", key, object, err)
		}
		r, got, err := s.api.GetObject(t.Context(), "b", key)
		if err != nil {
			t.Fatalf("get %q: %v", key, err)
		}
		b, _ := io.ReadAll(r)
		r.Close()
		if string(b) != body || got.ETag != object.ETag || got.ContentType != "text/plain" {
			t.Fatalf("get %q: %q %+v", key, b, got)
		}
	}
	page, err := s.api.Objects(t.Context(), "b", &client.ObjectOptions{Limit: 4})
	if err != nil || len(page.Objects) != 4 || page.Next == "" {
		t.Fatalf("%+v %v", page, err)
	}
	resp, _ := s.do(t, "HEAD", "/v1/buckets/b/a", "")
	if resp.StatusCode != 200 || resp.ContentLength != 9 {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	if resp, body := s.do(t, "GET", "/v1/buckets/b/a", "", "If-None-Match", resp.Header.Get("ETag")); resp.StatusCode != 304 || body != "" {
		t.Fatalf("%d %q", resp.StatusCode, body)
	}
	if err := s.api.DeleteObject(t.Context(), "b", "a//b"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.api.GetObject(t.Context(), "b", "a//b"); !client.HasCode(err, "not_found") {
		t.Fatalf("after delete: %v", err)
	}
	buckets, err := s.api.Buckets(t.Context())
	if err != nil || len(buckets) != 1 || buckets[0] != "b" {
		t.Fatalf("%q %v", buckets, err)
	}
}

// TestAnUploadThatBreaksOffStoresNothing, and is no failure of flagbase.
func TestAnUploadThatBreaksOffStoresNothing(t *testing.T) {
	t.Parallel()
	s := run(t, config(t, nil))
	conn, err := net.Dial("tcp", s.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "PUT /v1/buckets/b/half HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 1000\r\n\r\nhalf", s.AdminKey)
	time.Sleep(100 * time.Millisecond)
	conn.Close()
	time.Sleep(300 * time.Millisecond)
	if _, _, err := s.api.GetObject(t.Context(), "b", "half"); !client.HasCode(err, "not_found") {
		t.Fatalf("got %v", err)
	}
	if strings.Contains(s.log.String(), "request failed") {
		t.Fatalf("logged as a bug:\n%s", s.log)
	}
}
