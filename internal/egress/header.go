package egress

import (
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

const (
	// maxHeaders and maxHeaderBytes bound the headers sent.
	maxHeaders     = 200
	maxHeaderBytes = 64 << 10
	// maxResponseHeaderBytes bounds the headers received.
	maxResponseHeaderBytes = 256 << 10
)

// hopByHop headers concern one connection (RFC 9110, section 7.6.1), which is
// ours and not the function's; Content-Length and Expect are ours too. They are
// dropped in both directions, but for a response's Content-Length.
var hopByHop = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Authorization": true,
	"Proxy-Connection": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	"Http2-Settings": true,
}

// credentials do not follow a redirect to another origin.
var credentials = []string{"Authorization", "Cookie", "Cookie2", "Www-Authenticate", "Proxy-Authorization", "Proxy-Authenticate"}

// bodyHeaders describe a body and go when a redirect drops it, as in net/http.
var bodyHeaders = []string{"Content-Type", "Content-Encoding", "Content-Language", "Content-Location"}

// requestHeader checks the function's headers and returns those that are sent.
func requestHeader(given map[string][]string) (http.Header, error) {
	h := http.Header{}
	count, bytes := 0, 0
	drop := map[string]bool{}
	for name, values := range given {
		if !httpguts.ValidHeaderFieldName(name) {
			return nil, invalid(fmt.Sprintf("the header name %q is not valid", short(name)))
		}
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if canonical == "Host" {
			return nil, invalid("the Host header cannot be set; it is the URL's host")
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				// The value may be a secret: it is not shown.
				return nil, invalid(fmt.Sprintf("the value of header %q is not valid", short(name)))
			}
			count++
			bytes += len(name) + len(v)
			if canonical == "Connection" {
				for field := range strings.SplitSeq(v, ",") {
					drop[textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(field))] = true
				}
			}
		}
		if hopByHop[canonical] || canonical == "Content-Length" || canonical == "Expect" {
			continue
		}
		h[canonical] = append(h[canonical], values...)
	}
	if count > maxHeaders || bytes > maxHeaderBytes {
		return nil, invalid(fmt.Sprintf("there are more than %d headers or %d bytes of them", maxHeaders, maxHeaderBytes))
	}
	for name := range drop {
		h.Del(name)
	}
	if _, ok := h["User-Agent"]; !ok {
		h.Set("User-Agent", "flagbase")
	}
	return h, nil
}

// responseHeader returns what a function sees of a response's headers.
func responseHeader(got http.Header) map[string][]string {
	h := make(map[string][]string, len(got))
	for name, values := range got {
		if !hopByHop[name] {
			h[name] = slices.Clone(values)
		}
	}
	for _, v := range got["Connection"] {
		for field := range strings.SplitSeq(v, ",") {
			delete(h, textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(field)))
		}
	}
	return h
}

func short(s string) string {
	if len(s) > 64 {
		return s[:64] + "..."
	}
	return s
}
