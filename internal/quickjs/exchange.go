package quickjs

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// start hands the invocation to the script. Nothing is freed in the guest: the instance
// goes when the invocation ends.
func (s *session) start(v *vm, call *Call, hasFetch bool) error {
	request, event := v.places.undefined, call.Event
	raw := v.places.undefined
	bodyless := false
	if r := call.Request; r != nil {
		event = r.Body
		request = v.newString(requestHead(r))
		bodyless = hasFetch && (len(event) == 0 || r.Method == "" || r.Method == "GET" || r.Method == "HEAD")
	}
	switch {
	case bodyless:
	case utf8.Valid(event):
		raw = v.newString(event)
	default:
		raw = v.newBytes(event)
	}
	s.take(v, v.invoke(s.main.invoke, request, raw))
	if v.frees && raw != v.places.undefined {
		v.free(raw)
	}
	if v.frees && request != v.places.undefined {
		v.free(request)
	}
	return v.err
}

// requestHead is what hostRequest in prelude/70_fetch.js takes: "=" or "?" for a URL that
// is normal or may not be, the method, URL, and the headers' names, in lower case, and
// values, a line each.
func requestHead(r *Request) []byte {
	method := r.Method
	if method == "" {
		method = "GET"
	}
	names, size := make([]string, 0, 16), len(method)+len(r.URL)+2
	for name, values := range r.Header {
		names = append(names, name)
		for _, value := range values {
			size += len(name) + len(value) + 2
		}
	}
	slices.Sort(names)
	b := append(make([]byte, 0, size), '?')
	if normalURL(r.URL) {
		b[0] = '='
	}
	b = appendLine(b, method)
	b = append(b, '\n')
	b = appendLine(b, r.URL)
	for _, name := range names {
		lower := strings.ToLower(name)
		for _, value := range r.Header[name] {
			b = append(b, '\n')
			b = appendLine(b, lower)
			b = append(b, '\n')
			b = appendLine(b, value)
		}
	}
	if !utf8.Valid(b) {
		b = validUTF8(b)
	}
	return b
}

// appendLine appends s with spaces for what would end a line, as RFC 9110, 5.5 has it.
func appendLine(b []byte, s string) []byte {
	at := len(b)
	b = append(b, s...)
	if strings.ContainsAny(s, "\r\n\x00") {
		for i, c := range b[at:] {
			if c == '\r' || c == '\n' || c == 0 {
				b[at+i] = ' '
			}
		}
	}
	return b
}

// normalURL says that prelude/60_url.js would give u back as it is. It says so of most
// that are, and of no other.
func normalURL(u string) bool {
	rest, ok := strings.CutPrefix(u, "http://")
	port := "80"
	if !ok {
		if rest, ok = strings.CutPrefix(u, "https://"); !ok {
			return false
		}
		port = "443"
	}
	slash := strings.IndexByte(rest, '/')
	if slash < 1 {
		return false
	}
	host, given, hasPort := strings.Cut(rest[:slash], ":")
	if n, err := strconv.Atoi(given); hasPort && (err != nil || n > 65535 || given == port || strconv.Itoa(n) != given) {
		return false
	}
	path, query, hasQuery := strings.Cut(rest[slash:], "?")
	if strings.Contains(path, "/.") || strings.Contains(path, "/%") || hasQuery && query == "" {
		return false
	}
	return host != "" && onlyOf(host, "-.") && onlyOf(path, "-._~!$&()*+,;=:@/%ABCDEFGHIJKLMNOPQRSTUVWXYZ") &&
		onlyOf(query, "-._~!$&()*+,;=:@/%?ABCDEFGHIJKLMNOPQRSTUVWXYZ")
}

// onlyOf says that s has nothing but a-z, 0-9 and the ASCII characters in others.
func onlyOf(s, others string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return true
}

// parseResponse reads what responseHead in prelude/70_fetch.js writes: the status and the
// headers' names and values, a line each, and an empty line. What follows it, in head or
// in body, is the body.
func parseResponse(head, body []byte) (r *Response, ok bool) {
	if len(head) == 0 {
		head, body = body, nil
	}
	line, rest, ok := bytes.Cut(head, []byte{'\n'})
	if !ok {
		return nil, false
	}
	r = &Response{Header: make(map[string][]string, 4)}
	var err error
	if r.Status, err = strconv.Atoi(string(line)); err != nil {
		return nil, false
	}
	for {
		name, after, ok := bytes.Cut(rest, []byte{'\n'})
		if !ok {
			return nil, false
		}
		if rest = after; len(name) == 0 {
			break
		}
		value, after, ok := bytes.Cut(rest, []byte{'\n'})
		if !ok {
			return nil, false
		}
		rest = after
		r.Header[string(name)] = append(r.Header[string(name)], string(value))
	}
	if r.Body = rest; len(body) > 0 {
		r.Body = body
	}
	return r, true
}

// take looks at what the prelude's invoke or settle returned.
func (s *session) take(v *vm, result value) {
	if v.err != nil {
		return
	}
	b, ok := v.inst.Read(s.main.mail, 4)
	if !ok {
		v.err = errGuestMemory
		return
	}
	switch binary.LittleEndian.Uint32(b) {
	case mailPromise:
		s.await(v, result)
		return
	case mailNone:
		s.outcome = &outcome{kind: "none"}
	case mailResponse:
		if text, ok := v.textOf(result, v.frees); ok {
			s.outcome = &outcome{kind: "response", data: text}
		}
	case mailValue:
		data, ok := v.stringOf(result)
		if !ok {
			data, ok = v.bytesOf(result)
		}
		if ok {
			s.outcome = &outcome{kind: "value", data: data}
		}
	default:
		if !s.settled() && v.isException(result) {
			s.throw(v, v.exception(), false)
		}
	}
	if v.frees {
		v.free(result)
	}
}

// await keeps the promise of the handler's result, which is the host's to handle.
func (s *session) await(v *vm, promise value) {
	if int32(v.call("qjs_promise_state", uint64(promise))) < 0 {
		promise = v.invoke(s.main.awaited, promise) // only looks like a promise
	}
	if v.isException(promise) {
		s.throw(v, v.exception(), false)
		return
	}
	v.call("qjs_promise_mark_as_handled", uint64(promise))
	if len(s.rejections) > 0 {
		s.handled(v, v.call("qjs_get_value_ptr", uint64(promise)))
	}
	s.promise = promise
}

// collect goes on with the handler's result when its promise is settled. ok is false when
// there is none, or it is not.
func (s *session) collect(v *vm) (ok bool) {
	if s.promise == 0 {
		return false
	}
	state := v.call("qjs_promise_state", uint64(s.promise))
	if v.err != nil || state == promisePends {
		return false
	}
	result := value(v.call("qjs_promise_result", uint64(s.promise)))
	if v.frees {
		v.free(s.promise)
		defer v.free(result)
	}
	s.promise = 0
	if state == promiseKept {
		s.take(v, v.invoke(s.main.settle, result))
	} else {
		s.throw(v, result, false)
	}
	return true
}
