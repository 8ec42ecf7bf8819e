package quickjs_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	"flagbase.dev/internal/quickjs"
)

// A Response reaches the host the same whichever way it takes: at once, by a promise, a
// thenable, after waitUntil, with headers that nobody looked at or that somebody did.
func TestResponsesAreTheSameByEveryWay(t *testing.T) {
	p := compile(t, `
		const body = { text: (v) => v, none: () => null, bytes: (v) => new TextEncoder().encode(v), params: (v) => new URLSearchParams({ v }) };
		const make = ({ kind, text, init }, of = Response) => new of(body[kind](text), init);
		class Mine extends Response { constructor(...a) { super(...a); this.mine = 1 } }
		class Later extends Promise {}
		const after = (ms) => new Promise((ok) => setTimeout(ok, ms));
		const ways = {
			sync: (c) => make(c),
			async: async (c) => make(c),
			awaiting: async (c) => { await 1; await after(1); return make(c) },
			thenable: (c) => ({ then(ok) { ok(make(c)) } }),
			subclass: (c) => new Later((ok) => ok(make(c))),
			patched: (c) => { const p = Promise.resolve(make(c)); p.constructor = undefined; return p },
			waitUntil: (c, ctx) => { ctx.waitUntil(after(1)); return make(c) },
			waitedFor: async (c, ctx) => { ctx.waitUntil(1); return make(c) },
			clone: (c) => make(c).clone(),
			mine: (c) => make(c, Mine),
			looked: (c) => { const r = make(c); r.headers.get("x"); return r },
			headers: (c) => make({ ...c, init: { ...c.init, headers: new Headers(c.init?.headers) } }),
			pairs: (c) => make({ ...c, init: { ...c.init, headers: Object.entries(c.init?.headers ?? {}) } }),
		};
		export default {
			fetch: (request, env, ctx) => ways[request.headers.get("way")](JSON.parse(request.headers.get("case")), ctx),
		}`)
	ways := strings.Fields("sync async awaiting thenable subclass patched waitUntil waitedFor clone mine looked headers pairs")
	plain := "text/plain;charset=UTF-8"
	for _, c := range []struct {
		source string // of the case, JSON
		status int
		header map[string][]string
		body   string
	}{
		{`{"kind":"text","text":"x"}`, 200, map[string][]string{"content-type": {plain}}, "x"},
		{`{"kind":"text","text":""}`, 200, map[string][]string{"content-type": {plain}}, ""},
		{`{"kind":"text","text":"200\na\nb\n\nc"}`, 200, map[string][]string{"content-type": {plain}}, "200\na\nb\n\nc"},
		{`{"kind":"text","text":"é \ud83d\ude00 \ud800"}`, 200, map[string][]string{"content-type": {plain}}, "é 😀 \uFFFD"},
		{`{"kind":"none"}`, 200, map[string][]string{}, ""},
		{`{"kind":"none","init":{"status":204}}`, 204, map[string][]string{}, ""},
		{`{"kind":"none","init":{"status":304,"headers":{"ETag":"\"1\""}}}`, 304, map[string][]string{"etag": {`"1"`}}, ""},
		{`{"kind":"bytes","text":"é"}`, 200, map[string][]string{}, "é"},
		{`{"kind":"bytes","text":"b","init":{"status":599,"statusText":"odd","headers":{"X":""}}}`, 599, map[string][]string{"x": {""}}, "b"},
		{`{"kind":"params","text":"a b"}`, 200, map[string][]string{"content-type": {"application/x-www-form-urlencoded;charset=UTF-8"}}, "v=a+b"},
		{`{"kind":"text","text":"<p>","init":{"headers":{"Content-Type":"text/html","X-A":" é \t"}}}`, 200, map[string][]string{"content-type": {"text/html"}, "x-a": {"é"}}, "<p>"},
		{`{"kind":"text","text":"t","init":{"status":"201","headers":{"Set-Cookie":"a=1"}}}`, 201, map[string][]string{"content-type": {plain}, "set-cookie": {"a=1"}}, "t"},
		{fmt.Sprintf(`{"kind":"text","text":%q}`, strings.Repeat("long", 1<<15)), 200, map[string][]string{"content-type": {plain}}, strings.Repeat("long", 1<<15)},
	} {
		for _, way := range ways {
			res, err := run(t, p, &quickjs.Call{Request: &quickjs.Request{Method: "POST", URL: "http://h/", Header: map[string][]string{"Way": {way}, "Case": {c.source}}}})
			if err != nil {
				t.Errorf("%s, %.60s: %v", way, c.source, err)
				continue
			}
			r := res.Response
			if r == nil || r.Status != c.status || !maps.EqualFunc(r.Header, c.header, func(a, b []string) bool { return reflect.DeepEqual(a, b) }) || string(r.Body) != c.body || !bytes.Equal(r.Body, res.Output) {
				t.Errorf("%s, %.60s: %.300s", way, c.source, fmt.Sprintf("%+v", r))
			}
		}
	}
}

// What a Request says of what came from outside is what one says that a script makes of
// the same.
func TestRequestsFromOutsideAreLikeOthers(t *testing.T) {
	p := compile(t, `
		const show = async (r) => [r.method, r.url, [...r.headers], r.headers.get("x-b"), r.redirect, r.signal, r.bodyUsed, String(r), r.method === "GET" ? null : [...await r.clone().bytes()], await r.text(), r.bodyUsed];
		export default { async fetch(request) {
			const [method, url, headers, body] = JSON.parse(request.headers.get("the-same"));
			const clone = request.clone();
			request.headers.delete("the-same");
			clone.headers.delete("the-same");
			const same = [new Request(url, { method, headers, body }), request, clone];
			// A blank before it keeps a URL from being taken as it is.
			if (new URL(" " + url).href !== request.url || new URL(url).href !== request.url) throw new Error(request.url);
			const out = [];
			for (const r of same) out.push(JSON.stringify(await show(r)));
			return Response.json(out);
		} }`)
	bodies := []string{"", "text", "é\n", `{"a":1}`}
	headers := []map[string][]string{nil, {"X-B": {"1", "2"}, "A": {""}}, {"Content-Type": {"text/x"}, "Cookie": {"é=ü; a"}}}
	urls := []string{
		"http://h/", "http://h", "HTTP://H/", "http://h:80/", "http://h:080/", "https://h:443/", "https://h:80/a", "http://h:8080/a?b=c&d=%20", "http://h:99999/",
		"http://h/a/../b", "http://h/a/./b/", "http://h/.well-known/x", "http://h/%2e%2e/b", "http://h/a/%2E", "http://h/a%2eb", "http://h/a..b/c.", "http://h/a?", "http://h/a?b?c", "http://h/a?b#c",
		"http://h/é ü?é ü", "http://h/'\"<>{}|^\x60[]\\", "http://h/?'\"<>{}|^\x60[]\\", "http://[::1]:8080/", "http://u:p@h/", "http://a_b/", "http://h//a//", "http://h/a\tb",
		"http://1.2.3.4:65535/A-Z._~!$&()*+,;=:@", "https://h-1.example/fn/hello/x?q=%C3%A9+1", "http:///x",
	}
	for i, url := range urls {
		method := []string{"POST", "PUT", "GET", "DELETE", "X-Y"}[i%5]
		r := &quickjs.Request{Method: method, URL: url, Header: map[string][]string{}}
		pairs := [][2]string{}
		for name, values := range headers[i%len(headers)] {
			r.Header[name] = values
			for _, v := range values {
				pairs = append(pairs, [2]string{name, v})
			}
		}
		if _, typed := r.Header["Content-Type"]; !typed && method != "GET" && bodies[i%len(bodies)] != "" {
			r.Header["Content-Type"] = []string{"text/plain;charset=UTF-8"} // what the constructor adds
		}
		var body any
		if method != "GET" && bodies[i%len(bodies)] != "" {
			r.Body = []byte(bodies[i%len(bodies)])
			body = string(r.Body)
		}
		same, err := json.Marshal([]any{method, url, pairs, body})
		if err != nil {
			t.Fatal(err)
		}
		r.Header["The-Same"] = []string{string(same)}
		res, err := run(t, p, &quickjs.Call{Request: r})
		if url == "http://h:99999/" {
			if err == nil {
				t.Errorf("%s is taken: %s", url, res.Output)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		var shown []string
		if err := json.Unmarshal(res.Output, &shown); err != nil || len(shown) != 3 {
			t.Fatalf("%s: %s", url, res.Output)
		}
		if shown[0] != shown[1] || shown[0] != shown[2] {
			t.Errorf("%s:\n%s", url, strings.Join(shown, "\n"))
		}
	}
}

// A handler whose promise is rejected fails with the reason, whoever else looked at it.
func TestRejectedHandlers(t *testing.T) {
	for name, body := range map[string]string{
		"at once":      `async fetch() { throw new RangeError("why") }`,
		"later":        `async fetch() { await 1; throw new RangeError("why") }`,
		"seen":         `fetch() { const p = Promise.reject(new RangeError("why")); p.catch(() => {}); return p }`,
		"thenable":     `fetch() { return { then(ok, no) { no(new RangeError("why")) } } }`,
		"bad thenable": `fetch() { return { then() { throw new RangeError("why") } } }`,
		"beside":       `async fetch() { Promise.reject(1); throw new RangeError("why") }`,
		"in a getter":  `fetch() { return Object.defineProperty(Promise.resolve(), "constructor", { get() { throw new RangeError("why") } }) }`,
	} {
		_, err := run(t, compile(t, "export default { "+body+" }"), &quickjs.Call{Request: &quickjs.Request{URL: "http://h/"}})
		e := scriptError(t, err)
		if name == "beside" && e.Unhandled {
			continue // either may be told
		}
		if e.Name != "RangeError" || e.Message != "why" || e.Unhandled {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := run(t, compile(t, "export default { fetch() { return Object.create(Promise.prototype) } }"), &quickjs.Call{Request: &quickjs.Request{URL: "http://h/"}})
	if e := scriptError(t, err); e.Name != "TypeError" {
		t.Errorf("an object that only looks like a promise: %v", err)
	}
}
