package hostabi

import (
	"context"
	"encoding/json"
	"strings"

	"flagbase.dev/internal/egress"
)

// fetchRequest is the JSON a guest sends: {"method","url","headers","body"}. A
// header's value is a string or an array of strings; the body is base64.
type fetchRequest struct {
	Method  string          `json:"method"`
	URL     string          `json:"url"`
	Headers json.RawMessage `json:"headers"`
	Body    []byte          `json:"body"`
}

// maxHeaders is the most bytes the headers of a request may have as JSON.
const maxHeaders = 128 << 10

type headerValues []string

func (h *headerValues) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, (*[]string)(h))
	}
	var one string
	if err := json.Unmarshal(b, &one); err != nil {
		return err
	}
	*h = headerValues{one}
	return nil
}

// fetchResponse is the JSON a guest gets. Values of a repeated header are joined
// by ", ", those of set-cookie by a newline, because cookies contain commas.
type fetchResponse struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    []byte            `json:"body"`
}

func httpFetch(ctx context.Context, c *Call, a *arguments) ([]byte, error) {
	if c.Services.Fetch == nil {
		return nil, unavailable("outgoing requests")
	}
	var in fetchRequest
	if err := json.Unmarshal(a.bytes[0], &in); err != nil {
		return nil, badRequest(`a request is JSON like {"method":"GET","url":"https://example.com","headers":{},"body":"<base64>"}: %w`, err)
	}
	if len(in.Headers) > maxHeaders {
		return nil, badRequest("the headers have %d bytes as JSON, the limit is %d", len(in.Headers), maxHeaders)
	}
	var headers map[string]headerValues
	if len(in.Headers) > 0 {
		if err := json.Unmarshal(in.Headers, &headers); err != nil {
			return nil, badRequest("headers are a JSON object of strings or arrays of strings: %w", err)
		}
	}
	req := &egress.Request{Method: in.Method, URL: in.URL, Header: make(map[string][]string, len(headers)), Body: in.Body}
	if req.Method == "" {
		req.Method = "GET"
	}
	for name, values := range headers {
		req.Header[name] = values
	}
	res, err := c.Services.Fetch.Do(ctx, req)
	if err != nil {
		return nil, err
	}
	out := fetchResponse{Status: res.Status, Headers: make(map[string]string, len(res.Header)), Body: res.Body}
	for name, values := range res.Header {
		name = strings.ToLower(name)
		separator := ", "
		if name == "set-cookie" {
			separator = "\n"
		}
		out.Headers[name] = strings.Join(values, separator)
	}
	return json.Marshal(out)
}
