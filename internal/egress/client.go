package egress

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Client makes requests under a policy. Make one with [New] and keep it: it
// pools connections. It is safe for concurrent use.
type Client struct {
	policy    Policy
	rules     rules
	transport *http.Transport
	resolver  *net.Resolver // nil: the system's
	denying   sync.Mutex
	deny      atomic.Pointer[[]netip.AddrPort]
}

// Request is an HTTP request as a function writes it.
type Request struct {
	// Method defaults to GET. CONNECT and TRACE are refused.
	Method string
	// URL is absolute, http or https, without a user name.
	URL string
	// Header are the headers to send. Host is refused, hop-by-hop headers are dropped.
	Header map[string][]string
	Body   []byte
}

// Response is the whole answer.
type Response struct {
	Status int
	Header map[string][]string
	// Body is decoded where the server compressed it unasked, that is unless the
	// request had an Accept-Encoding of its own.
	Body []byte
}

// New returns a client for p; nil is the zero Policy.
func New(p *Policy) *Client {
	c := &Client{}
	if p != nil {
		c.policy = *p
	}
	if c.policy.Timeout <= 0 {
		c.policy.Timeout = defaultTimeout
	}
	if c.policy.MaxRequestBytes <= 0 {
		c.policy.MaxRequestBytes = defaultBodyBytes
	}
	if c.policy.MaxResponseBytes <= 0 {
		c.policy.MaxResponseBytes = defaultBodyBytes
	}
	if c.policy.MaxRedirects == 0 {
		c.policy.MaxRedirects = defaultMaxRedirects
	}
	c.rules = newRules(&c.policy)
	deny := slices.Clone(c.policy.DenyAddrs)
	c.deny.Store(&deny)
	c.transport = &http.Transport{
		Proxy:                  nil, // a proxy from the environment would connect in our place, unchecked
		DialContext:            c.dial,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: maxResponseHeaderBytes,
	}
	return c
}

// Deny adds a listener of this server to Policy.DenyAddrs, for addresses that
// are known only when listening has begun.
func (c *Client) Deny(addr netip.AddrPort) {
	c.denying.Lock()
	defer c.denying.Unlock()
	deny := append(slices.Clone(*c.deny.Load()), addr)
	c.deny.Store(&deny)
	c.transport.CloseIdleConnections() // one of them could lead there
}

// Close closes idle connections. Requests under way go on.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Do sends the request, follows redirects and returns the whole answer, of any
// status. It ends when ctx ends, or after Policy.Timeout. A redirect goes through
// the same checks as the request; to another origin it carries no Authorization,
// Cookie or Proxy-* header.
func (c *Client) Do(ctx context.Context, req *Request) (*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.policy.Timeout)
	defer cancel()
	method, err := requestMethod(req.Method)
	if err != nil {
		return nil, err
	}
	if int64(len(req.Body)) > c.policy.MaxRequestBytes {
		return nil, invalid(fmt.Sprintf("the body has %d bytes, the most is %d", len(req.Body), c.policy.MaxRequestBytes))
	}
	header, err := requestHeader(req.Header)
	if err != nil {
		return nil, err
	}
	at, err := parseTarget(req.URL)
	if err != nil {
		return nil, err
	}
	body := req.Body
	for redirects := 0; ; redirects++ {
		if err := c.checkHost(at); err != nil {
			return nil, err
		}
		answer, err := c.send(ctx, method, at, header, body)
		if err != nil {
			return nil, explain(ctx, at.host, err)
		}
		location := redirectTo(answer)
		if location == "" || c.policy.MaxRedirects < 0 {
			return c.read(ctx, at, answer)
		}
		status := answer.StatusCode
		discard(answer)
		if redirects == c.policy.MaxRedirects {
			return nil, &failure{ErrFailed, fmt.Sprintf("stopped after %d redirects", redirects)}
		}
		next, err := resolve(at, location)
		if err != nil {
			return nil, err
		}
		if next.origin() != at.origin() {
			for _, name := range credentials {
				header.Del(name)
			}
		}
		method, body = redirected(status, method, body)
		if body == nil {
			for _, name := range bodyHeaders {
				header.Del(name)
			}
		}
		at = next
	}
}

func requestMethod(method string) (string, error) {
	if method == "" {
		return http.MethodGet, nil
	}
	// A method is a token, which is what a header's name is.
	if !httpguts.ValidHeaderFieldName(method) || len(method) > 32 {
		return "", invalid(fmt.Sprintf("the method %q is not valid", short(method)))
	}
	switch upper := strings.ToUpper(method); upper {
	case http.MethodConnect, http.MethodTrace:
		return "", invalid("the method " + upper + " is not allowed")
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return upper, nil // as fetch does; other methods keep their case
	}
	return method, nil
}

func (c *Client) send(ctx context.Context, method string, at *target, header http.Header, body []byte) (*http.Response, error) {
	var reader io.Reader
	if len(body) > 0 {
		reader = bytes.NewReader(body)
	}
	r, err := http.NewRequestWithContext(ctx, method, at.url.String(), reader)
	if err != nil {
		return nil, invalid("it cannot be sent")
	}
	r.Header = header.Clone()
	return c.transport.RoundTrip(r)
}

// read returns the answer with its body, counted after decoding.
func (c *Client) read(ctx context.Context, at *target, answer *http.Response) (*Response, error) {
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusSwitchingProtocols {
		return nil, &failure{ErrFailed, "the server changed to another protocol"}
	}
	limit := c.policy.MaxResponseBytes
	body, err := io.ReadAll(io.LimitReader(answer.Body, limit+1))
	if int64(len(body)) > limit {
		return nil, &failure{ErrTooLarge, fmt.Sprintf("the body has more than %d bytes", limit)}
	}
	if err != nil {
		return nil, explain(ctx, at.host, err)
	}
	return &Response{Status: answer.StatusCode, Header: responseHeader(answer.Header), Body: body}, nil
}
