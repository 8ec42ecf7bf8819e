// Package fetch sends HTTP requests without linking net/http, which is about
// half of a Go function's size. Package httpclient offers the same to code that
// wants an *http.Client.
//
// flagbase sends the request: only to http and https hosts that the function
// may reach, never to private or local addresses unless the configuration
// allows them, following at most five redirects.
package fetch

import (
	"encoding/json"
	"fmt"
	"strings"

	"flagbase.dev/guest/internal/abi"
)

// Request is one HTTP request.
type Request struct {
	// Method defaults to GET.
	Method string
	// URL is absolute, http or https.
	URL string
	// Header maps names to values. Host and hop-by-hop headers are not sent.
	Header map[string][]string
	// Body may be nil.
	Body []byte
}

// Response is the answer, whatever its status.
type Response struct {
	Status int
	// Header maps names in lower case to values. Several values of one header
	// arrive joined by ", ", those of set-cookie apart.
	Header map[string][]string
	Body   []byte
}

// Get returns the first value of a header; the name's case does not matter.
func (r *Response) Get(name string) string {
	if values := r.Header[strings.ToLower(name)]; len(values) > 0 {
		return values[0]
	}
	return ""
}

type requestJSON struct {
	Method  string              `json:"method"`
	URL     string              `json:"url"`
	Headers map[string][]string `json:"headers"`
	Body    []byte              `json:"body,omitempty"` // base64 in JSON
}

type responseJSON struct {
	Status  int               `json:"status"`
	Headers map[string]values `json:"headers"`
	Body    []byte            `json:"body"`
}

// values takes a header's values as the joined text that flagbase sends, and as
// an array.
type values []string

func (v *values) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*v = make(values, 1)
		return json.Unmarshal(b, &(*v)[0])
	}
	return json.Unmarshal(b, (*[]string)(v))
}

// Do sends the request. A response of any status is no error; a request that
// was refused or got no response is.
func Do(r *Request) (*Response, error) {
	method := r.Method
	if method == "" {
		method = "GET"
	}
	headers := r.Header
	if headers == nil {
		headers = map[string][]string{}
	}
	b, err := json.Marshal(requestJSON{Method: method, URL: r.URL, Headers: headers, Body: r.Body})
	if err != nil {
		return nil, fmt.Errorf("http_fetch: encode request: %w", err)
	}
	out, err := abi.Fetch(method+" "+r.URL, b)
	if err != nil {
		return nil, err
	}
	var resp responseJSON
	if err := json.Unmarshal(out, &resp); err != nil {
		return nil, fmt.Errorf("http_fetch %q: decode the host's answer: %w", r.URL, err)
	}
	header := make(map[string][]string, len(resp.Headers))
	for name, v := range resp.Headers {
		name = strings.ToLower(name)
		if name == "set-cookie" && len(v) == 1 {
			v = strings.Split(v[0], "\n") // cookies hold commas, so the host joins them so
		}
		header[name] = v
	}
	return &Response{Status: resp.Status, Header: header, Body: resp.Body}, nil
}

// Get fetches the URL.
func Get(url string) (*Response, error) { return Do(&Request{URL: url}) }
