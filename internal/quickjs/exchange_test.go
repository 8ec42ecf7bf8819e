package quickjs

import (
	"reflect"
	"testing"
)

func TestRequestHead(t *testing.T) {
	for _, c := range []struct {
		request Request
		want    string
	}{
		{Request{URL: "http://h/"}, "=GET\nhttp://h/"},
		{Request{Method: "POST", URL: "http://h/../", Header: map[string][]string{"X-B": {"1", ""}, "A": {"v"}}}, "?POST\nhttp://h/../\na\nv\nx-b\n1\nx-b\n"},
		{Request{Method: "P\nT", URL: "http://h/\r\nx", Header: map[string][]string{"N\nm": {"a\x00b\r\n\r\nc"}}}, "?P T\nhttp://h/  x\nn m\na b    c"},
		{Request{URL: "http://h/", Header: map[string][]string{"A": {"\xff\xfe"}}}, "=GET\nhttp://h/\na\n\uFFFD\uFFFD"},
		{Request{URL: "http://h/", Header: map[string][]string{"A": nil}}, "=GET\nhttp://h/"},
	} {
		if got := string(requestHead(&c.request)); got != c.want {
			t.Errorf("%+v: %q, want %q", c.request, got, c.want)
		}
	}
}

func TestParseResponse(t *testing.T) {
	for _, c := range []struct {
		head, body string
		want       *Response
	}{
		{"", "200\n\n", &Response{200, map[string][]string{}, []byte{}}},
		{"", "201\n\nbody\n\nmore", &Response{201, map[string][]string{}, []byte("body\n\nmore")}},
		{"", "200\na\n1\nb\n\na\n2\n\n\nx", &Response{200, map[string][]string{"a": {"1", "2"}, "b": {""}}, []byte("\nx")}},
		{"404\na\n1\n\n", "404\na\n2\n\n", &Response{404, map[string][]string{"a": {"1"}}, []byte("404\na\n2\n\n")}},
		{"", "", nil},
		{"", "200", nil},
		{"", "200\n", nil},
		{"", "200\na\n", nil},
		{"", "200\na\n1\n", nil},
		{"", "x\n\n", nil},
	} {
		got, ok := parseResponse([]byte(c.head), []byte(c.body))
		if ok != (c.want != nil) || ok && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q %q: %+v %v, want %+v", c.head, c.body, got, ok, c.want)
		}
	}
}
