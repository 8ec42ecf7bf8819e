package examples_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"flagbase.dev/feature"
	"flagbase.dev/function"
	"flagbase.dev/internal/database"
	"flagbase.dev/internal/hostabi"
	"flagbase.dev/internal/wasmbin"
	"flagbase.dev/storage"
	"flagbase.dev/table"
	"flagbase.dev/tracing"
)

// flagbase is a running store with every service, and a web site that its
// functions may reach.
type flagbase struct {
	t        *testing.T
	store    *function.Store
	flags    *feature.Engine
	objects  storage.BucketAdapter
	recorder *tracing.Recorder
	site     *httptest.Server
	deployed map[string]bool
}

type secrets map[string]string

func (s secrets) Secret(_ context.Context, _, functionName, name string) (string, error) {
	if v, ok := s[functionName+"/"+name]; ok {
		return v, nil
	}
	return "", function.ErrNotFound
}

func open(t *testing.T) *flagbase {
	t.Helper()
	ctx := t.Context()
	f := &flagbase{t: t, deployed: map[string]bool{}}
	f.site = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "sunny at %s", r.URL.Path)
	}))
	t.Cleanup(f.site.Close)

	db, err := database.OpenSQLite(ctx, filepath.Join(t.TempDir(), "flagbase.db"))
	check(t, err)
	t.Cleanup(func() { _ = db.Close() })
	f.flags, err = feature.NewEngine(ctx, db)
	check(t, err)
	tables, err := table.NewEngine(ctx, db)
	check(t, err)
	f.recorder, err = tracing.NewRecorder(ctx, db, nil)
	check(t, err)
	t.Cleanup(func() { _ = f.recorder.Close(context.Background()) })
	objects, err := storage.OpenLocal(ctx, t.TempDir(), db)
	check(t, err)
	f.objects = objects

	engine, err := function.NewEngine(ctx, &function.EngineOptions{
		Fetch:   &function.FetchPolicy{AllowPrivate: []string{strings.TrimPrefix(f.site.URL, "http://")}},
		Secrets: secrets{"go-reactor/SIGNING_KEY": "k"},
	})
	check(t, err)
	t.Cleanup(func() { engine.Close(context.Background()) })
	f.store, err = function.NewStore(db, objects, engine, f.flags)
	check(t, err)
	t.Cleanup(func() { _ = f.store.Close(context.Background()) })
	f.store.WithTables(tables)
	f.store.WithTracer(f.recorder)
	return f
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// deploy makes sure that the examples are deployed.
func (f *flagbase) deploy(names ...string) {
	f.t.Helper()
	for _, name := range names {
		if f.deployed[name] {
			continue
		}
		f.deployed[name] = true
		b := build(f.t, name)
		var err error
		if b.artifact.Script {
			_, err = f.store.Create(f.t.Context(), name, "", string(b.artifact.Project.Language), string(b.data))
		} else {
			_, err = f.store.Upload(f.t.Context(), name, "", b.data)
		}
		if err != nil {
			f.t.Fatalf("deploy %s: %v", name, err)
		}
	}
}

func (f *flagbase) flag(flag *feature.Flag) {
	f.t.Helper()
	_, err := f.flags.Put(f.t.Context(), flag)
	check(f.t, err)
}

// do invokes a function as the user ada and notes which host calls its trace
// shows.
func (f *flagbase) do(name string, req *function.InvokeRequest) (*function.InvokeResult, error) {
	f.t.Helper()
	ctx := function.WithCallerContext(f.t.Context(), function.CallerContext{UserID: "ada", Role: "editor", Groups: []string{"staff"}})
	res, err := f.store.Do(ctx, name, req)
	if res == nil {
		f.t.Fatalf("invoke %s: %v", name, err)
	}
	check(f.t, f.recorder.Flush(ctx))
	spans, traceErr := f.recorder.Trace(ctx, res.TraceID)
	check(f.t, traceErr)
	for _, s := range spans {
		// A trace also holds the calls of functions that this one invoked.
		if op, ok := strings.CutPrefix(s.Name, "flagbase."); ok && s.InvocationID == res.InvocationID {
			note(name, op)
		}
	}
	return res, err
}

func (f *flagbase) invoke(name, event string) *function.InvokeResult {
	f.t.Helper()
	res, err := f.do(name, &function.InvokeRequest{Event: []byte(event)})
	if err != nil {
		f.t.Fatalf("invoke %s: %v\nlog: %s", name, err, res.Log)
	}
	return res
}

func (f *flagbase) request(name, method, url, body string) *function.HTTPResponse {
	f.t.Helper()
	res, err := f.do(name, &function.InvokeRequest{HTTP: &function.HTTPRequest{Method: method, URL: url, Body: []byte(body)}})
	if err != nil {
		f.t.Fatalf("%s %s of %s: %v\nlog: %s", method, url, name, err, res.Log)
	}
	if res.HTTP == nil {
		f.t.Fatalf("%s is no web handler: %q", name, res.Output)
	}
	return res.HTTP
}

// seen are the host calls of each example that its traces showed.
var seen = map[string]map[string]bool{}

func note(example, op string) {
	if seen[example] == nil {
		seen[example] = map[string]bool{}
	}
	seen[example][op] = true
}

func decode[T any](t *testing.T, b []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%q: %v", b, err)
	}
	return v
}

// TestExamples deploys and invokes every example. They share one test and one
// store: compiling is most of the time, and the last part is about all of them.
func TestExamples(t *testing.T) {
	shared := open(t)
	for _, example := range []struct {
		name string
		test func(f *flagbase)
	}{
		{"wat", testWAT}, // first: it sees go-command come
		{"go-command", testGoCommand},
		{"go-reactor", testGoReactor},
		{"go-web", testGoWeb},
		{"js", testJavaScript},
		{"ts", testTypeScript},
		{"assemblyscript", testAssemblyScript},
		{"c", testC},
	} {
		t.Run(example.name, func(t *testing.T) {
			f := *shared
			f.t = t
			example.test(&f)
		})
	}
	t.Run("every host function", testTable)
}

func testGoCommand(f *flagbase) {
	t := f.t
	f.deploy("go-command")
	res := f.invoke("go-command", "three short words\nand more")
	if string(res.Output) != `{"bytes":26,"lines":1,"words":5}`+"\n" || !strings.Contains(string(res.Log), "counted 26 bytes") {
		t.Errorf("output %q, log %q", res.Output, res.Log)
	}
}

func testGoReactor(f *flagbase) {
	t := f.t
	f.deploy("go-command", "go-reactor")
	f.flag(&feature.Flag{Key: "discount", Enabled: true})
	type confirmation struct {
		ID, Style, Receipt, Signature string
		Cents                         int
		ReceiptWords                  int    `json:"receipt_words"`
		OrdersSoFar                   int    `json:"orders_so_far"`
		TraceID                       string `json:"trace_id"`
	}
	first := f.invoke("go-reactor", `{"item":"tea","count":2}`)
	got := decode[confirmation](t, first.Output)
	want := confirmation{
		ID: got.ID, Style: "plain", Receipt: "ada bought 2 x tea for 810 cents\n", Cents: 810, ReceiptWords: 8, OrdersSoFar: 1, TraceID: first.TraceID,
		Signature: sign("k", "ada bought 2 x tea for 810 cents\n"),
	}
	if got != want || got.ID == "" {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if !strings.Contains(string(first.Log), `INFO {"msg":"ordered","item":"tea","count":2,"customer":"ada"}`) {
		t.Errorf("log %q", first.Log)
	}
	stored, err := storage.ReadAll(t.Context(), f.objects, "receipts", got.ID+".txt", 1<<10)
	if err != nil || string(stored) != want.Receipt {
		t.Errorf("stored receipt %q, %v", stored, err)
	}
	f.flag(&feature.Flag{Key: "receipt-style", Enabled: true, DefaultVariant: "fancy", Variants: map[string]json.RawMessage{"fancy": []byte(`"f"`)}})
	second := decode[confirmation](t, f.invoke("go-reactor", `{"item":"item-00001","count":1}`).Output)
	if second.OrdersSoFar != 2 || second.Style != "fancy" || second.Cents != 91 {
		t.Errorf("second order %+v", second)
	}

	res, err := f.do("go-reactor", &function.InvokeRequest{Event: []byte(`{"item":"gold","count":1}`)})
	var failure *function.Error
	if !errors.As(err, &failure) || failure.Code != "function_error" || failure.ExitCode != 1 || !strings.Contains(failure.Stderr, `error: no price for 1 x "gold"`) {
		t.Errorf("an order that cannot be priced: %v (%s)", err, res.Log)
	}
}

func testGoWeb(f *flagbase) {
	t := f.t
	f.deploy("go-web")
	created := f.request("go-web", "POST", "http://x.example/notes", "buy tea")
	location := http.Header(created.Header).Get("Location")
	if created.Status != 201 || !strings.HasPrefix(location, "notes/") {
		t.Fatalf("created: %+v", created)
	}
	type note struct {
		Data struct{ Text, By string }
	}
	if got := decode[note](t, f.request("go-web", "GET", "http://x.example/"+location, "").Body); got.Data.Text != "buy tea" || got.Data.By != "ada" {
		t.Errorf("note %+v", got)
	}
	if imported := f.request("go-web", "POST", "http://x.example/import?url="+f.site.URL+"/bern", ""); imported.Status != 201 {
		t.Errorf("import: %d %s", imported.Status, imported.Body)
	}
	if refused := f.request("go-web", "POST", "http://x.example/import?url=http://169.254.169.254/", ""); refused.Status != 502 {
		t.Errorf("import from the metadata address: %d %s", refused.Status, refused.Body)
	}
	if gone := f.request("go-web", "DELETE", "http://x.example/"+location, ""); gone.Status != 204 {
		t.Errorf("delete: %+v", gone)
	}
	if again := f.request("go-web", "GET", "http://x.example/"+location, ""); again.Status != 404 {
		t.Errorf("get after delete: %d %s", again.Status, again.Body)
	}
	list := decode[[]note](t, f.request("go-web", "GET", "http://x.example/", "").Body)
	if len(list) != 1 || list[0].Data.Text != "sunny at /bern" {
		t.Errorf("list %+v", list)
	}
}

func testJavaScript(f *flagbase) {
	t := f.t
	f.deploy("go-command", "js")
	type todo struct {
		ID   string `json:"_id"`
		Data struct {
			Text string
			Done bool
		}
	}
	tea := decode[todo](t, f.invoke("js", `{"do":"add","text":"buy tea"}`).Output)
	f.invoke("js", `{"do":"add","text":"drink it"}`)
	if tea.ID == "" || tea.Data.Text != "buy tea" {
		t.Fatalf("added %+v", tea)
	}
	counted := f.invoke("js", `{"do":"count"}`)
	if got := decode[map[string]int](t, counted.Output); got["words"] != 4 || got["lines"] != 1 {
		t.Errorf("count %v", got)
	}
	if !strings.Contains(string(counted.Log), "todo: count in trace "+counted.TraceID) {
		t.Errorf("log %q", counted.Log)
	}
	done := decode[struct{ Archived []string }](t, f.invoke("js", `{"do":"done","id":"`+tea.ID+`"}`).Output)
	if !slices.Equal(done.Archived, []string{tea.ID + ".json"}) {
		t.Errorf("archived %q", done.Archived)
	}
	list := decode[[]struct{ Text string }](t, f.invoke("js", `{"do":"list"}`).Output)
	if len(list) != 1 || list[0].Text != "drink it" {
		t.Errorf("list %+v", list)
	}
	if back := decode[todo](t, f.invoke("js", `{"do":"undo","id":"`+tea.ID+`"}`).Output); back.Data.Text != "buy tea" || back.ID == tea.ID {
		t.Errorf("undone %+v", back)
	}
	if _, err := f.do("js", &function.InvokeRequest{Event: []byte(`{"do":"dance"}`)}); err == nil || !strings.Contains(err.Error(), `unknown action "dance"`) {
		t.Errorf("unknown action: %v", err)
	}
}

func testTypeScript(f *flagbase) {
	t := f.t
	f.deploy("ts")
	variants := map[string]json.RawMessage{"plain": []byte(`1`), "bold": []byte(`2`)}
	f.flag(&feature.Flag{Key: "headline", Enabled: true, Variants: variants, DefaultVariant: "plain", Rules: []feature.Rule{
		{Conditions: []feature.Condition{{Attribute: "user_id", Operator: "eq", Value: []byte(`"ada"`)}}, Variant: "bold"},
	}})
	f.flag(&feature.Flag{Key: "open", Enabled: false})
	if closed := f.request("ts", "GET", "http://x.example/", ""); closed.Status != 503 || string(closed.Body) != "closed" {
		t.Errorf("closed: %+v", closed)
	}
	f.flag(&feature.Flag{Key: "open", Enabled: true})
	page := f.request("ts", "GET", "http://x.example/", "")
	if page.Status != 200 || string(page.Body) != "<h1>HELLO, ADA</h1>" || !slices.Equal(page.Header["x-variant"], []string{"bold"}) {
		t.Errorf("page: %d %q %v", page.Status, page.Body, page.Header)
	}
	if weather := f.request("ts", "GET", "http://x.example/weather?from="+f.site.URL+"/bern", ""); weather.Status != 200 || string(weather.Body) != "it is sunny at /bern" {
		t.Errorf("weather: %d %q", weather.Status, weather.Body)
	}
	if welcome := f.request("ts", "POST", "http://x.example/", `{"email":"a@b.c"}`); welcome.Status != 201 || decode[map[string]string](t, welcome.Body)["welcome"] != "a@b.c" {
		t.Errorf("welcome: %d %q", welcome.Status, welcome.Body)
	}
}

func testAssemblyScript(f *flagbase) {
	t := f.t
	f.deploy("assemblyscript")
	type visit struct {
		Visits int
		Names  []string
		First  string
	}
	first := f.invoke("assemblyscript", "Ada")
	got := decode[visit](t, first.Output)
	if got.Visits != 1 || !slices.Equal(got.Names, []string{"Ada"}) || !strings.Contains(got.First, "not found") {
		t.Errorf("first visit %+v", got)
	}
	// event_len, event_read, bucket_get, error_len, error_read, bucket_put, bucket_list, result_len, result_read
	if first.Metrics.HostCalls != 9 {
		t.Errorf("%d host calls, want 9", first.Metrics.HostCalls)
	}
	f.invoke("assemblyscript", "Bob")
	f.invoke("assemblyscript", "Ada")
	if got := decode[visit](t, f.invoke("assemblyscript", "Ada").Output); got.Visits != 3 || got.First != "" || !slices.Equal(got.Names, []string{"Ada", "Bob"}) {
		t.Errorf("third visit %+v", got)
	}
	if got := decode[visit](t, f.invoke("assemblyscript", "Ada").Output); got.Visits != 1 {
		t.Errorf("the visits did not start over: %+v", got)
	}
}

func testC(f *flagbase) {
	t := f.t
	f.deploy("c")
	res := f.invoke("c", "123456789") // the check value of CRC-32
	if string(res.Output) != "cbf43926 "+res.TraceID+"\n" || !strings.Contains(string(res.Log), "not found") {
		t.Errorf("output %q, log %q", res.Output, res.Log)
	}
	f.flag(&feature.Flag{Key: "uppercase-checksum", Enabled: true})
	if res := f.invoke("c", "123456789"); string(res.Output) != "CBF43926 "+res.TraceID+"\n" {
		t.Errorf("output %q", res.Output)
	}
}

func testWAT(f *flagbase) {
	t := f.t
	f.deploy("wat")
	if res := f.invoke("wat", ""); !strings.HasPrefix(string(res.Output), res.TraceID+" ") || !strings.Contains(string(res.Output), "go-command") || !strings.Contains(string(res.Output), "not_found") {
		t.Errorf("without go-command: %q", res.Output)
	}
	f.deploy("go-command")
	res := f.invoke("wat", "ignored")
	if string(res.Output) != res.TraceID+` {"bytes":0,"lines":0,"words":0}`+"\n" || !strings.Contains(string(res.Log), "INFO asking go-command") {
		t.Errorf("output %q, log %q", res.Output, res.Log)
	}
	if res.Metrics.HostCalls != 4 {
		t.Errorf("%d host calls, want 4", res.Metrics.HostCalls)
	}
}

var row = regexp.MustCompile(`(?m)^\| ([a-z_]+) \| ([a-z, -]+) \|$`)

// testTable runs after the others: what traces showed to be called, and what a
// module imports of the calls that make no span, has to be what the README says,
// and together be every host function.
func testTable(t *testing.T) {
	uses := map[string][]string{}
	for _, name := range sorted(languages) {
		b := build(t, name)
		if !b.artifact.Script {
			m, err := wasmbin.Scan(b.data, nil)
			check(t, err)
			for _, i := range m.Imports {
				if i.Module == hostabi.ModuleName && silent[i.Name] {
					note(name, i.Name)
				}
			}
		}
		for op := range seen[name] {
			uses[op] = append(uses[op], name)
		}
	}
	readme, err := os.ReadFile("README.md")
	check(t, err)
	table := map[string]string{}
	for _, m := range row.FindAllStringSubmatch(string(readme), -1) {
		table[m[1]] = m[2]
	}
	for _, op := range hostabi.Names() {
		if got := strings.Join(uses[op], ", "); got == "" || got != table[op] {
			t.Errorf("%s is used by %q; the README says %q", op, got, table[op])
		}
		delete(table, op)
	}
	delete(table, "folder")
	for op := range table {
		t.Errorf("the README lists %s, which is no host function", op)
	}
}

// silent are the calls that read what waits and make no span. That they work is
// seen in the output of the examples that import them.
var silent = map[string]bool{
	"event_len": true, "event_read": true, "result_len": true, "result_read": true, "error_len": true, "error_read": true,
	"get_trace_id": true, "get_caller_context": true,
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func sign(key, text string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}
