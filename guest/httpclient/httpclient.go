// Package httpclient lets code that expects net/http send its requests through
// flagbase.
package httpclient

import (
	"bytes"
	"fmt"
	"io"
	"net/http"

	"flagbase.dev/guest/fetch"
)

// Transport is an http.RoundTripper over package fetch. The whole body is read
// before the request is sent, and the whole response before it returns.
// flagbase follows redirects itself, so a client sees only the last response.
type Transport struct{}

// Client returns a client that sends through flagbase. Its Timeout has no
// effect on a request under way: the invocation's deadline is what ends it.
func Client() *http.Client { return &http.Client{Transport: Transport{}} }

// RoundTrip implements http.RoundTripper.
func (Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }()
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, fmt.Errorf("read request body: %w", err)
		}
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	resp, err := fetch.Do(&fetch.Request{Method: r.Method, URL: r.URL.String(), Header: r.Header, Body: body})
	if err != nil {
		return nil, err
	}
	header := make(http.Header, len(resp.Header))
	for name, values := range resp.Header {
		for _, v := range values {
			header.Add(name, v)
		}
	}
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", resp.Status, http.StatusText(resp.Status)),
		StatusCode:    resp.Status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		Body:          io.NopCloser(bytes.NewReader(resp.Body)),
		ContentLength: int64(len(resp.Body)),
		Request:       r,
	}, nil
}
