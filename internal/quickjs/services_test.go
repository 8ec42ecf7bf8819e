package quickjs_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"flagbase.dev/internal/quickjs"
	"flagbase.dev/internal/sandbox"
)

type hostFunc func(op string, args [][]byte) ([]byte, error)

func (f hostFunc) HostCall(_ context.Context, op string, args [][]byte) ([]byte, error) {
	return f(op, args)
}

func TestServices(t *testing.T) {
	const record = `{"_id":"r1","data":{"n":1}}`
	for _, c := range []struct {
		expression, answer string
		call               []string // the operation and its arguments
		want               string
	}{
		{`flagbase.flag.evaluate("f")`, "1", []string{"flag_eval", "f"}, "true"},
		{`flagbase.flag.evaluate("f")`, "0", []string{"flag_eval", "f"}, "false"},
		{`flagbase.flag.variant("f")`, "blue", []string{"flag_eval_variant", "f"}, "blue"},
		{`flagbase.bucket.get("b", "k")`, "h\xc3\xa9", []string{"bucket_get", "b", "k"}, "hé"},
		{`flagbase.bucket.get("b", "k")`, "\xff", []string{"bucket_get", "b", "k"}, "\uFFFD"},
		{`flagbase.bucket.getBytes("b", "k")`, "\xff\x00", []string{"bucket_get", "b", "k"}, "\xff\x00"},
		{`flagbase.bucket.getBytes("b", "k").length`, "", []string{"bucket_get", "b", "k"}, "0"},
		{`flagbase.bucket.getJSON("b", "k").a`, `{"a":5}`, []string{"bucket_get", "b", "k"}, "5"},
		{`String(flagbase.bucket.put("b", "k", "text"))`, "", []string{"bucket_put", "b", "k", "text"}, "undefined"},
		{`String(flagbase.bucket.put("b", "k", new Uint8Array([0, 255])))`, "", []string{"bucket_put", "b", "k", "\x00\xff"}, "undefined"},
		{`String(flagbase.bucket.put("b", "k", {a: 1}))`, "", []string{"bucket_put", "b", "k", `{"a":1}`}, "undefined"},
		{`String(flagbase.bucket.delete("b", "k"))`, "", []string{"bucket_delete", "b", "k"}, "undefined"},
		{`flagbase.bucket.list("b")`, `["x","y"]`, []string{"bucket_list", "b"}, `["x","y"]`},
		{`flagbase.bucket.list("b", {prefix: "y"})`, `["x","y"]`, []string{"bucket_list", "b"}, `["y"]`},
		{`flagbase.table.get("t", "r1").data.n`, record, []string{"table_get", "t", "r1"}, "1"},
		{`flagbase.table.put("t", {n: 1})._id`, record, []string{"table_put", "t", `{"n":1}`}, "r1"},
		{`flagbase.table.put("t", "r1", {n: 1})._id`, record, []string{"table_put", "t", `{"n":1,"_id":"r1"}`}, "r1"},
		{`String(flagbase.table.delete("t", "r1"))`, "", []string{"table_delete", "t", "r1"}, "undefined"},
		{`flagbase.table.query("t", {limit: 2}).length`, "[" + record + "]", []string{"table_query", "t", `{"limit":2}`}, "1"},
		{`flagbase.table.query("t")`, "[]", []string{"table_query", "t", "{}"}, "[]"},
		{`flagbase.fn.invoke("other")`, "out", []string{"fn_invoke", "other"}, "out"},
		{`flagbase.fn.invoke("other", {a: 1})`, "out", []string{"fn_invoke_event", "other", `{"a":1}`}, "out"},
		{`flagbase.fn.invoke("other", "raw")`, "out", []string{"fn_invoke_event", "other", "raw"}, "out"},
		{`flagbase.fn.invokeJSON("other").b`, `{"b":2}`, []string{"fn_invoke", "other"}, "2"},
		{`flagbase.fn.invokeBytes("other")`, "\xfe", []string{"fn_invoke", "other"}, "\xfe"},
		{`String(flagbase.metrics.publish("m", 1.5, {a: "b"}))`, "", []string{"metrics_publish", "m", "1.5", `{"a":"b"}`}, "undefined"},
		{`flagbase.secret.get("s")`, "hush", []string{"secret_get", "s"}, "hush"},
		{`String(flagbase.log("a", {b: 1}))`, "", []string{"log_write", "1", "a { b: 1 }"}, "undefined"},
		{`String(context.log.error("bad"))`, "", []string{"log_write", "3", "bad"}, "undefined"},
		{`await flagbase.flag.evaluate("f")`, "1", []string{"flag_eval", "f"}, "true"},
	} {
		var got []string
		host := hostFunc(func(op string, args [][]byte) ([]byte, error) {
			got = append(got, op)
			for _, a := range args {
				got = append(got, string(a))
			}
			return []byte(c.answer), nil
		})
		out := output(t, "export async function handle(event, context) { return "+c.expression+" }", &quickjs.Call{Host: host})
		if out != c.want || !reflect.DeepEqual(got, c.call) {
			t.Errorf("%s: got %q by %q, want %q by %q", c.expression, out, got, c.want, c.call)
		}
	}
}

func TestServiceErrorsAreErrors(t *testing.T) {
	host := hostFunc(func(op string, args [][]byte) ([]byte, error) { return nil, errors.New("bucket \"b\": no such key") })
	got := output(t, `export function handle() { try { flagbase.bucket.get("b", "k") } catch (e) { return e instanceof Error && e.message } }`, &quickjs.Call{Host: host})
	if got != `bucket "b": no such key` {
		t.Errorf("caught: %q", got)
	}
	_, err := run(t, compile(t, "export function handle() {\n  flagbase.bucket.get('b', 'k')\n}"), &quickjs.Call{Host: host})
	if e := scriptError(t, err); e.Message != `bucket "b": no such key` || e.Line != 2 {
		t.Errorf("uncaught: %+v", e)
	}
	for _, expression := range []string{"flagbase.bucket.get(1, 'k')", "flagbase.bucket.get('b')", "flagbase.flag.evaluate()", "flagbase.table.put('t', 5)",
		"flagbase.metrics.publish('m', 'x')", "flagbase.fn.invoke()", "flagbase.bucket.put('b', 'k')", "flagbase.secret.get({})", "fetch('/relative')"} {
		if got := value(t, "(async () => { try { await "+expression+" } catch (e) { return e.name } })()"); got != "TypeError" {
			t.Errorf("%s: %s", expression, got)
		}
	}
	if got := value(t, "(() => { try { flagbase.flag.evaluate('x') } catch (e) { return e.message } })()"); got != "flag_eval is not available here" {
		t.Errorf("no host: %q", got)
	}
}

type blockingHost struct{}

func (blockingHost) HostCall(ctx context.Context, _ string, _ [][]byte) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestDeadlineReachesIntoServices(t *testing.T) {
	p := compile(t, "export function handle() { for (;;) try { flagbase.secret.get('x') } catch {} }")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := p.Run(ctx, &quickjs.Call{Host: blockingHost{}}); !errors.Is(err, sandbox.ErrInterrupted) || time.Since(start) > time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

func TestFetch(t *testing.T) {
	host := hostFunc(func(op string, args [][]byte) ([]byte, error) {
		if op != "http_fetch" {
			return nil, fmt.Errorf("operation %q", op)
		}
		return []byte(`{"status":404,"headers":{"Content-Type":["application/json"],"Set-Cookie":["a=1","b=2"]},"body":"` +
			base64.StdEncoding.EncodeToString([]byte(`{"q":`+string(args[0])+`}`)) + `"}`), nil
	})
	got := output(t, `export async function handle() {
		const r = await fetch("https://Example.com:443/a b?c=d", { method: "post", headers: { "X-A": "1" }, body: new Uint8Array([1, 2]) });
		const q = (await r.json()).q;
		const s = flagbase.http.fetch(new URL("http://h/"));
		return [r.status, r.ok, r.headers.get("content-type"), r.headers.getSetCookie(), r.url, q, s.status, s.json().q.method, s.headers["set-cookie"]];
	}`, &quickjs.Call{Host: host})
	want := `[404,false,"application/json",["a=1","b=2"],"https://example.com/a%20b?c=d",{"method":"POST","url":"https://example.com/a%20b?c=d","headers":{"x-a":["1"]},"body":"AQI="},404,"GET","a=1, b=2"]`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestWebHandler(t *testing.T) {
	p := compile(t, `export default { async fetch(request, env, ctx) {
		const body = request.method === "GET" ? null : await request.text();
		const u = new URL(request.url);
		return Response.json({ m: request.method, p: u.pathname, q: u.searchParams.get("q"), h: request.headers.get("X-In"), body, used: request.bodyUsed, fn: ctx.functionName, env: env === flagbase },
			{ status: 201, headers: [["X-Out", "a"], ["x-out", "b"], ["Set-Cookie", "c=1"], ["Set-Cookie", "d=2"]] });
	} }`)
	res, err := run(t, p, &quickjs.Call{
		Context: quickjs.Context{FunctionName: "web"},
		Request: &quickjs.Request{Method: "PUT", URL: "https://h.example/p/x?q=%C3%A9+1", Header: map[string][]string{"X-In": {"1", "2"}}, Body: []byte("data")},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := res.Response
	if r == nil || r.Status != 201 || !res.Returned || !reflect.DeepEqual(r.Header, map[string][]string{"x-out": {"a", "b"}, "set-cookie": {"c=1", "d=2"}, "content-type": {"application/json"}}) {
		t.Errorf("%+v", r)
	}
	if want := `{"m":"PUT","p":"/p/x","q":"é 1","h":"1, 2","body":"data","used":true,"fn":"web","env":true}`; string(r.Body) != want || string(res.Output) != want {
		t.Errorf("got %s", r.Body)
	}

	// A plain invocation of a web handler is a POST of the event.
	res, err = run(t, p, &quickjs.Call{Event: []byte("\xff")})
	if err != nil || !strings.Contains(string(res.Output), `"m":"POST","p":"/"`) || !strings.Contains(string(res.Output), "\uFFFD") {
		t.Errorf("%v %+v", err, res)
	}
	// A request to a script with only handle is its event.
	handle := compile(t, "export const handle = (e) => ({ got: e })")
	res, err = run(t, handle, &quickjs.Call{Request: &quickjs.Request{Method: "POST", URL: "http://h/", Body: []byte(`{"a":1}`)}})
	if err != nil || string(res.Output) != `{"got":{"a":1}}` || res.Response != nil {
		t.Errorf("%v %+v", err, res)
	}
	// Bytes survive both ways.
	echo := compile(t, "export default { async fetch(r) { return new Response(await r.arrayBuffer(), { headers: { 'content-type': 'application/octet-stream' } }) } }")
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	res, err = run(t, echo, &quickjs.Call{Request: &quickjs.Request{Method: "POST", URL: "http://h/", Body: all}})
	if err != nil || string(res.Response.Body) != string(all) {
		t.Errorf("%v", err)
	}
	_, err = run(t, compile(t, "export default { fetch() { return 'no response' } }"), &quickjs.Call{Request: &quickjs.Request{Method: "GET", URL: "http://h/"}})
	if e := scriptError(t, err); !strings.Contains(e.Message, "must return a Response") {
		t.Errorf("%v", err)
	}
}

func TestWebTypes(t *testing.T) {
	for expression, want := range map[string]string{
		`new Response(null, {status: 204}).status`:                                                                                                          `204`,
		`(() => { try { new Response("x", {status: 204}) } catch (e) { return e.name } })()`:                                                                `TypeError`,
		`(() => { try { new Response("x", {status: 99}) } catch (e) { return e.name } })()`:                                                                 `RangeError`,
		`(() => { try { new Headers({"a b": "c"}) } catch (e) { return e.name } })()`:                                                                       `TypeError`,
		`(() => { try { new Headers({a: "x\r\ny: z"}) } catch (e) { return e.name } })()`:                                                                   `TypeError`,
		`[...new Headers({B: " 1 ", a: "2"})]`:                                                                                                              `[["a","2"],["b","1"]]`,
		`new Response("x").headers.get("content-type")`:                                                                                                     `text/plain;charset=UTF-8`,
		`new Response(new URLSearchParams({a: "b c"})).text()`:                                                                                              `a=b+c`,
		`(async () => { const r = new Response("x"), c = r.clone(); return await r.text() + await c.text() })()`:                                            `xx`,
		`(async () => { const r = new Response("x"); await r.text(); try { await r.text() } catch (e) { return e.name } })()`:                               `TypeError`,
		`Response.redirect("http://a/b").headers.get("location")`:                                                                                           `http://a/b`,
		`new Request(new Request("http://a/", {method: "POST", body: "b"})).text()`:                                                                         `b`,
		`new Request("http://a").url`:                                                                                                                       `http://a/`,
		`[new TextDecoder().decode(new TextEncoder().encode("é😀")), new TextEncoder().encode("é").length]`:                                                  `["é😀",2]`,
		`(() => { const d = new TextDecoder(); return d.decode(new Uint8Array([0xf0, 0x9f]), {stream: true}) + d.decode(new Uint8Array([0x98, 0x80])) })()`: `😀`,
		`(() => { try { new TextDecoder("utf-8", {fatal: true}).decode(new Uint8Array([255])) } catch (e) { return e.name } })()`:                           `TypeError`,
		`new TextEncoder().encodeInto("aé😀", new Uint8Array(4))`:                                                                                            `{"read":2,"written":3}`,
		`atob(btoa("x"))`: `x`,
		`new URL("../c?d#e", "https://u:p@h:8080/a/b/").href`: `https://u:p@h:8080/a/c?d#e`,
		`new URL("HTTP://EXAMPLE.com:80/%7Ea/./b/../c").href`: `http://example.com/%7Ea/c`,
		`new URL("//x/y", "https://h/").href`:                 `https://x/y`,
		`new URL("?q", "https://h/p?z#f").href`:               `https://h/p?q`,
		`new URL("mailto:a@b").pathname`:                      `a@b`,
		`URL.canParse("http://") || URL.canParse("x") || URL.canParse("http://a b/") || URL.canParse("http://h:99999/")`:                                  `false`,
		`(() => { const u = new URL("http://h/"); u.searchParams.append("a", "é&"); u.pathname = "/x y"; u.hash = "h"; u.port = "81"; return u.href })()`: `http://h:81/x%20y?a=%C3%A9%26#h`,
		`[...new URLSearchParams("a=1&b=%zz&a=2+3&c")]`:               `[["a","1"],["b","%zz"],["a","2 3"],["c",""]]`,
		`new URLSearchParams({a: "1"}).toString()`:                    `a=1`,
		`new URL("http://[::1]:3000/").host`:                          `[::1]:3000`,
		`typeof globalThis.sys + typeof globalThis.host + typeof std`: `undefinedundefinedundefined`,
	} {
		if got := value(t, expression); got != want {
			t.Errorf("%s:\n got %s\nwant %s", expression, got, want)
		}
	}
}

// TestTampering: scripts may break their own world, never the rules of ours.
func TestTampering(t *testing.T) {
	host := hostFunc(func(op string, args [][]byte) ([]byte, error) { return []byte("answer"), nil })
	for name, source := range map[string]string{
		"JSON":             "JSON.stringify = () => 'forged'; JSON.parse = () => 'forged'",
		"array prototype":  "for (const k of Object.getOwnPropertyNames(Array.prototype)) try { Array.prototype[k] = () => 'forged' } catch {}; Array.prototype[Symbol.iterator] = null",
		"string prototype": "for (const k of Object.getOwnPropertyNames(String.prototype)) try { String.prototype[k] = () => 'forged' } catch {}",
		"function":         "Function.prototype.call = Function.prototype.apply = Function.prototype.bind = () => 'forged'",
		"promise":          "Promise.prototype.then = () => 'forged'; Promise.resolve = () => 'forged'; globalThis.Promise = null",
		"reflect":          "Reflect.apply = Reflect.ownKeys = () => 'forged'",
		"globals":          "delete globalThis.console; globalThis.Error = globalThis.Response = globalThis.Uint8Array = globalThis.JSON = null",
		"object prototype": "Object.prototype.toJSON = undefined; Object.prototype.get = Object.prototype.value = Object.prototype.length = 'forged'; Object.prototype.then = undefined",
		"typed array":      "const T = Object.getPrototypeOf(Uint8Array.prototype); for (const k of ['length', 'buffer', 'byteLength', 'set', 'slice']) try { Object.defineProperty(T, k, { value: 'forged' }) } catch {}",
		"regexp":           "RegExp.prototype.exec = RegExp.prototype.test = () => 'forged'",
		"map":              "Map.prototype.get = Map.prototype.set = () => 'forged'",
	} {
		got := output(t, source+"\nconst get = flagbase.bucket.get; export const handle = async (e) => e.a + get('b', 'k')", &quickjs.Call{Host: host, Event: []byte(`{"a":"event "}`)})
		if got != "event answer" {
			t.Errorf("%s: %q", name, got)
		}
		web := "const R = Response; " + source + "\nexport default { fetch: async (q) => { const e = await q.json(); return R.json({ a: e.a, m: q.method, u: q.url, h: q.headers.get('x') }, { headers: { b: '1' } }) } }"
		res, err := run(t, compile(t, web), &quickjs.Call{Request: &quickjs.Request{Method: "PUT", URL: "http://h/x", Header: map[string][]string{"X": {"y"}}, Body: []byte(`{"a":1}`)}})
		if err != nil || string(res.Output) != `{"a":1,"m":"PUT","u":"http://h/x","h":"y"}` || res.Response.Header["b"][0] != "1" || res.Response.Header["content-type"][0] != "application/json" {
			t.Errorf("%s: %+v %v", name, res.Response, err)
		}
	}
	if got := output(t, "globalThis.flagbase = { forged: true }; export const handle = () => flagbase", &quickjs.Call{Host: host}); got != `{"forged":true}` {
		t.Errorf("a script's own flagbase: %s", got)
	}
	for _, source := range []string{
		"flagbase.bucket.get = () => 'forged'",
		"flagbase.bucket = null",
	} {
		if got := output(t, "export function handle() { try { "+source+" } catch {} return flagbase.bucket.get('a', 'b') }", &quickjs.Call{Host: host}); got != "answer" {
			t.Errorf("%s: %s", source, got)
		}
	}
	// Nothing on the way in leads a script to the functions behind the prelude.
	got := output(t, `export function handle() {
		const seen = new Set(), found = [];
		const walk = (o, path) => {
			if (o === null || typeof o !== "object" && typeof o !== "function" || seen.has(o)) return;
			seen.add(o);
			if (typeof o === "function" && !path.endsWith(".prototype.bytes") && ["sys", "bytes", "host", "hostBytes"].includes(o.name)) found.push(path);
			for (const k of Reflect.ownKeys(o)) {
				const d = Reflect.getOwnPropertyDescriptor(o, k);
				for (const v of [d.value, d.get, d.set]) walk(v, path + "." + String(k));
			}
			walk(Object.getPrototypeOf(o), path + ".__proto__");
		};
		walk(globalThis, "globalThis");
		try { flagbase.bucket.get("a"); } catch (e) { walk(e, "error") }
		const caller = (() => { try { return handle.caller } catch { return null } })();
		walk(caller, "caller");
		return found.join();
	}`, &quickjs.Call{})
	if got != "" {
		t.Errorf("a script reaches %s", got)
	}
}
