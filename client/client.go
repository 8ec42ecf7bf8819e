// Package client is the Go client of flagbase's HTTP API; the flagbase command is its first user.
//
//	c, err := client.New(&client.Options{URL: "http://127.0.0.1:8080", Token: os.Getenv("FLAGBASE_TOKEN")})
//	result, err := c.Invoke(ctx, "hello", &client.InvokeOptions{Event: []byte(`{"name":"Ada"}`)})
//
// Every failed call returns an [*Error] that carries the server's code.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// DefaultURL is where a server listens unless told otherwise.
const DefaultURL = "http://127.0.0.1:8080"

// maxAnswer is the most bytes read of an answer that is not an output or an object.
const maxAnswer = 64 << 20

// Options say which server to talk to, and as whom.
type Options struct {
	// URL is the server's address. Defaults to DefaultURL.
	URL string
	// Token is the API key, sent as a bearer token; empty sends none.
	Token string
	// HTTPClient does the requests. Defaults to one without a time limit of its own (a context ends a
	// call), which connects within 10 s and does not follow redirects.
	HTTPClient *http.Client
	// UserAgent is sent with every request. Defaults to "flagbase-client".
	UserAgent string
}

// Client calls one server. It is safe for concurrent use.
type Client struct {
	base  string
	token string
	agent string
	http  *http.Client
}

// New makes a client. It fails when the URL is not an http or https URL; it does not connect.
func New(opts *Options) (*Client, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.URL == "" {
		o.URL = DefaultURL
	}
	base, err := url.Parse(o.URL)
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, fmt.Errorf("client: %q is not a URL of the form http://host:port", o.URL)
	}
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, fmt.Errorf("client: the URL of a server has no user, query or fragment; the key goes into Token")
	}
	if strings.ContainsAny(o.Token, "\r\n\x00") {
		return nil, errors.New("client: the token has a line break in it")
	}
	if o.UserAgent == "" {
		o.UserAgent = "flagbase-client"
	}
	if o.HTTPClient == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.DisableCompression = true // a function that answers gzip is passed on as it is
		transport.DialContext = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext
		o.HTTPClient = &http.Client{
			Transport: transport,
			// A redirect would carry the key to wherever it points.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return &Client{base: strings.TrimSuffix(o.URL, "/"), token: o.Token, agent: o.UserAgent, http: o.HTTPClient}, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// request is one call of the API.
type request struct {
	method string
	path   string // escaped
	query  url.Values
	header http.Header
	body   io.Reader
	length int64 // of body; 0 with a body: not known
}

// send does a request and returns the response, whatever its status.
func (c *Client) send(ctx context.Context, r *request) (*http.Response, error) {
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, r.body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if r.length > 0 {
		req.ContentLength = r.length
	}
	req.Header.Set("User-Agent", c.agent)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.connectError(err)
	}
	return resp, nil
}

// connectError explains a failure to reach the server; url.Error's own text leads with the method and URL.
func (c *Client) connectError(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return fmt.Errorf("cannot reach flagbase at %s (is a server running there?): %w", c.base, op.Err)
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Errorf("talk to flagbase at %s: %w", c.base, err)
}

// call does a request with a JSON body (nil for none) and decodes a JSON answer into out (nil to drop it).
func (c *Client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	r := &request{method: method, path: path, query: query, header: http.Header{"Accept": {"application/json"}}}
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s %s: encode the request: %w", method, path, err)
		}
		r.body, r.length = bytes.NewReader(body), int64(len(body))
		r.header.Set("Content-Type", "application/json")
	}
	return c.decode(ctx, r, out)
}

// decode does a request and decodes a JSON answer into out (nil to drop it).
func (c *Client) decode(ctx context.Context, r *request, out any) error {
	resp, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return readError(resp)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", r.method, r.path, err)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%s %s: the answer is not flagbase's; is %s a flagbase server? (%w)", r.method, r.path, c.base, err)
	}
	return nil
}

// seg escapes one segment of a path. "." and ".." are escaped too, or the path would lose them.
func seg(name string) string {
	switch name {
	case ".":
		return "%2E"
	case "..":
		return "%2E%2E"
	}
	return url.PathEscape(name)
}
