package guesttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
)

// HostCall implements the border that the SDK's packages call natively. Tests
// have no need of it.
func (h *Host) HostCall(op string, args ...[]byte) ([]byte, error) {
	h.mu.Lock()
	call := Call{Op: op}
	for _, a := range args {
		call.Args = append(call.Args, string(a))
	}
	h.calls = append(h.calls, call)
	if err := h.failures[op]; err != nil {
		h.mu.Unlock()
		return nil, err
	}
	switch op {
	case "fn_invoke", "fn_invoke_event", "http_fetch":
		// These run the test's own code, which may use the host again.
		f, outbound := h.functions[call.Args[0]], h.outbound
		h.mu.Unlock()
		if op == "http_fetch" {
			return fetch(outbound, args[0])
		}
		if f == nil {
			return nil, notFound("function", call.Args[0])
		}
		if op == "fn_invoke" {
			return f(nil)
		}
		return f(args[1])
	}
	defer h.mu.Unlock()
	return h.local(op, call.Args)
}

// local answers the calls that need nothing but the host's own state.
func (h *Host) local(op string, arg []string) ([]byte, error) {
	switch op {
	case "event_read":
		return bytes.Clone(h.event), nil
	case "get_trace_id":
		return []byte(h.traceID), nil
	case "get_caller_context":
		if h.caller == nil {
			return nil, nil
		}
		return json.Marshal(h.caller)
	case "bucket_get":
		b, ok := h.objects[arg[0]][arg[1]]
		if !ok {
			return nil, notFound("object", arg[0]+"/"+arg[1])
		}
		return bytes.Clone(b), nil
	case "bucket_put":
		h.put(arg[0], arg[1], []byte(arg[2]))
		return nil, nil
	case "bucket_delete":
		delete(h.objects[arg[0]], arg[1])
		return nil, nil
	case "bucket_list":
		return json.Marshal(h.keys(arg[0]))
	case "flag_eval":
		on, ok := h.flags[arg[0]]
		if !ok {
			return nil, notFound("flag", arg[0])
		}
		if on {
			return []byte("1"), nil
		}
		return []byte("0"), nil
	case "flag_eval_variant":
		if v, ok := h.variants[arg[0]]; ok {
			return []byte(v), nil
		}
		on, ok := h.flags[arg[0]]
		if !ok {
			return nil, notFound("flag", arg[0])
		}
		if on {
			return []byte("on"), nil
		}
		return []byte("off"), nil
	case "secret_get":
		v, ok := h.secrets[arg[0]]
		if !ok {
			return nil, fmt.Errorf("no such secret, or it is not granted to this function")
		}
		return []byte(v), nil
	case "metrics_publish":
		return nil, h.publish(arg)
	case "log_write":
		level, err := strconv.Atoi(arg[0])
		h.logs = append(h.logs, LogLine{Level: level, Line: arg[1]})
		return nil, err
	case "table_get":
		return h.table(arg[0]).get(arg[1])
	case "table_put":
		return h.table(arg[0]).put([]byte(arg[1]), h.now())
	case "table_delete":
		return nil, h.table(arg[0]).delete(arg[1])
	case "table_query":
		return h.table(arg[0]).query([]byte(arg[1]))
	}
	return nil, fmt.Errorf("guesttest does not know host function %q", op)
}

func (h *Host) publish(arg []string) error {
	value, err := strconv.ParseFloat(arg[1], 64)
	if err != nil {
		return err
	}
	m := Metric{Name: arg[0], Value: value}
	if err := json.Unmarshal([]byte(arg[2]), &m.Tags); err != nil {
		return fmt.Errorf("metric %q: tags: %w", m.Name, err)
	}
	h.metrics = append(h.metrics, m)
	return nil
}

type requestJSON struct {
	Method  string      `json:"method"`
	URL     string      `json:"url"`
	Headers http.Header `json:"headers"`
	Body    []byte      `json:"body"`
}

func requestEnvelope(r *http.Request) ([]byte, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, fmt.Errorf("read request body: %w", err)
		}
	}
	headers := r.Header.Clone()
	if headers == nil {
		headers = http.Header{}
	}
	if r.Host != "" {
		headers.Set("Host", r.Host)
	}
	return json.Marshal(requestJSON{Method: r.Method, URL: r.URL.String(), Headers: headers, Body: body})
}

func fetch(handler http.Handler, request []byte) ([]byte, error) {
	if handler == nil {
		return nil, errors.New("refused: the test allows no outbound requests (Host.HandleHTTP)")
	}
	var in requestJSON
	if err := json.Unmarshal(request, &in); err != nil {
		return nil, err
	}
	r, err := http.NewRequest(in.Method, in.URL, bytes.NewReader(in.Body))
	if err != nil {
		return nil, err
	}
	if r.URL.Host == "" {
		return nil, fmt.Errorf("%q is not an absolute URL", in.URL)
	}
	for name, values := range in.Headers {
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	result := w.Result()
	headers := map[string]string{}
	for name, values := range result.Header {
		name = strings.ToLower(name)
		separator := ", "
		if name == "set-cookie" {
			separator = "\n"
		}
		headers[name] = strings.Join(values, separator)
	}
	return json.Marshal(struct {
		Status  int               `json:"status"`
		Headers map[string]string `json:"headers"`
		Body    []byte            `json:"body"`
	}{result.StatusCode, headers, w.Body.Bytes()})
}
