package function_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	_ "modernc.org/sqlite"

	"flagbase.dev/feature"
	"flagbase.dev/function"
	"flagbase.dev/internal/testguest"
	"flagbase.dev/storage"
	"flagbase.dev/table"
	"flagbase.dev/tracing"
)

// world is a store with all its services, as an embedder composes them.
type world struct {
	*function.Store
	engine *function.Engine
	db     *sql.DB
	bucket storage.BucketAdapter
	flags  *feature.Engine
	tables *table.Engine
	tracer *tracing.Recorder
}

// shared is an engine with the defaults, so that each guest is compiled once.
var shared *function.Engine

func TestMain(m *testing.M) {
	var err error
	if shared, err = function.NewEngine(context.Background(), nil); err != nil {
		panic(err)
	}
	code := m.Run()
	shared.Close(context.Background())
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func newWorld(t testing.TB, opts *function.EngineOptions) *world {
	t.Helper()
	return newWorldOn(t, filepath.Join(t.TempDir(), "test.db"), opts)
}

func newWorldOn(t testing.TB, dsn string, opts *function.EngineOptions) *world {
	t.Helper()
	ctx := context.Background()
	dir := t.TempDir()
	db, err := sql.Open("sqlite", dsn)
	must(t, err)
	w := &world{db: db}
	w.bucket, err = storage.OpenLocal(ctx, filepath.Join(dir, "buckets"), db)
	must(t, err)
	if w.engine = shared; opts != nil {
		w.engine, err = function.NewEngine(ctx, opts)
		must(t, err)
	}
	w.flags, err = feature.NewEngine(ctx, db)
	must(t, err)
	w.tables, err = table.NewEngine(ctx, db)
	must(t, err)
	w.tracer, err = tracing.NewRecorder(ctx, db, nil)
	must(t, err)
	w.Store, err = function.NewStore(db, w.bucket, w.engine, w.flags)
	must(t, err)
	w.WithTables(w.tables)
	w.WithTracer(w.tracer)
	t.Cleanup(func() {
		must(t, w.Close(ctx))
		must(t, w.tracer.Close(ctx))
		if opts != nil {
			w.engine.Close(ctx)
		}
		must(t, db.Close())
	})
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func helloWASM(t testing.TB) []byte { return testguest.Go(t, "function/testdata/hello", false) }
func echoWASM(t testing.TB) []byte  { return testguest.Go(t, "function/testdata/echo", false) }

const second = time.Second

func TestLifecycle(t *testing.T) {
	w, ctx := newWorld(t, nil), t.Context()

	fn, err := w.Upload(ctx, "greet", "says hello", helloWASM(t))
	must(t, err)
	if fn.Status != function.StatusReady || fn.Runtime != function.RuntimeWASM || fn.Language != "wasm" || fn.CreatedAt.IsZero() {
		t.Errorf("uploaded function is %+v", fn)
	}
	out, err := w.Invoke(ctx, fn.ID, 5*second)
	must(t, err)
	if string(out) != "hello from Go\n" {
		t.Errorf("output %q", out)
	}
	v2, err := w.DeployVersion(ctx, "greet", echoWASM(t))
	must(t, err)
	if v2.Version != 2 || v2.FunctionID != fn.ID {
		t.Errorf("second version is %+v", v2)
	}
	out, err = w.InvokeWithEvent(ctx, fn.ID, 5*second, []byte(`{"do":"echo","text":"second"}`))
	must(t, err)
	if string(out) != "second" {
		t.Errorf("version 2 gave %q", out)
	}
	// An old version stays invocable by number, and can be activated again.
	res, err := w.Do(ctx, fn.ID, &function.InvokeRequest{Version: 1})
	must(t, err)
	if string(res.Output) != "hello from Go\n" || res.Version != 1 {
		t.Errorf("version 1 by number gave %q of version %d", res.Output, res.Version)
	}
	_, err = w.Activate(ctx, "greet", 1)
	must(t, err)
	out, err = w.Invoke(ctx, "greet", 5*second)
	must(t, err)
	if string(out) != "hello from Go\n" {
		t.Errorf("after the rollback: %q", out)
	}
	versions, err := w.ListVersions(ctx, fn.ID)
	must(t, err)
	if len(versions) != 2 || versions[0].Version != 1 || versions[1].Version != 2 {
		t.Errorf("versions %+v", versions)
	}
	one, err := w.GetVersion(ctx, fn.ID, versions[1].ID)
	must(t, err)
	if *one != versions[1] {
		t.Errorf("GetVersion gave %+v", one)
	}
	list, err := w.List(ctx)
	must(t, err)
	if len(list) != 1 || list[0].ID != fn.ID {
		t.Errorf("list %+v", list)
	}
	must(t, w.Delete(ctx, fn.ID))
	for _, err := range []error{
		second1(w.Get(ctx, fn.ID)), second1(w.Invoke(ctx, "greet", second)), second1(w.ListVersions(ctx, fn.ID)),
		second1(w.ListInvocations(ctx, fn.ID)), second1(w.GetVersion(ctx, fn.ID, v2.ID)), w.Delete(ctx, fn.ID),
		second1(w.DeployVersion(ctx, fn.ID, helloWASM(t))), second1(w.Update(ctx, fn.ID, "", "", "")), second1(w.Activate(ctx, fn.ID, 1)),
	} {
		if !errors.Is(err, function.ErrNotFound) {
			t.Errorf("of a deleted function: %v, want ErrNotFound", err)
		}
	}
	page, err := w.bucket.List(ctx, "flagbase-artifacts", nil)
	must(t, err)
	if len(page.Objects) != 0 {
		t.Errorf("artifacts left after the delete: %+v", page.Objects)
	}
}

func second1[T any](_ T, err error) error { return err }

func TestScripts(t *testing.T) {
	w, ctx := newWorld(t, nil), t.Context()
	js, err := w.Create(ctx, "js", "", "javascript", `export function handle(event) { return {sum: event.a + event.b} }`)
	must(t, err)
	out, err := w.InvokeWithEvent(ctx, js.ID, 5*second, []byte(`{"a":1,"b":2}`))
	must(t, err)
	if string(out) != `{"sum":3}` {
		t.Errorf("output %q", out)
	}
	ts, err := w.Create(ctx, "ts", "", "typescript", `interface E { name: string }
export function handle(event: E): string { return "hi " + event.name }`)
	must(t, err)
	out, err = w.InvokeWithEvent(ctx, ts.ID, 5*second, []byte(`{"name":"Ada"}`))
	must(t, err)
	if string(out) != "hi Ada" {
		t.Errorf("output %q", out)
	}

	// A version that does not compile changes nothing and says where it is wrong.
	_, err = w.Update(ctx, "js", "", "", "export function handle() {\n  return )\n}")
	if !errors.Is(err, function.ErrInvalidArtifact) || !strings.Contains(err.Error(), "function.js:2:") {
		t.Errorf("update with a syntax error: %v", err)
	}
	out, err = w.InvokeWithEvent(ctx, "js", 5*second, []byte(`{"a":2,"b":2}`))
	must(t, err)
	if string(out) != `{"sum":4}` {
		t.Errorf("after the refused update: %q", out)
	}
	// Versions may differ in language.
	_, err = w.DeploySource(ctx, "js", "typescript", `export const handle = (e: {a: number}): number => e.a`)
	must(t, err)
	out, err = w.InvokeWithEvent(ctx, "js", 5*second, []byte(`{"a":7}`))
	must(t, err)
	if got, err := w.Get(ctx, "js"); err != nil || string(out) != "7" || got.Language != "typescript" {
		t.Errorf("a TypeScript version gave %q, %+v, %v", out, got, err)
	}
	_, err = w.Activate(ctx, "js", 1)
	must(t, err)
	if got, err := w.Get(ctx, "js"); err != nil || got.Language != "javascript" {
		t.Errorf("after the rollback: %+v, %v", got, err)
	}
	// A function whose first source is broken is kept, with the reason, and can be mended.
	broken, err := w.Create(ctx, "broken", "", "javascript", "export function (")
	if !errors.Is(err, function.ErrInvalidArtifact) || broken == nil || broken.Status != function.StatusError || broken.Error == "" {
		t.Errorf("create of broken source: %+v, %v", broken, err)
	}
	if _, err := w.Invoke(ctx, "broken", second); !errors.Is(err, function.ErrNotReady) {
		t.Errorf("invoke of a broken function: %v", err)
	}
	mended, err := w.Create(ctx, "broken", "", "javascript", "export const handle = () => 'mended'")
	must(t, err)
	if mended.Status != function.StatusReady || mended.ID != broken.ID {
		t.Errorf("mended function %+v", mended)
	}
	// A runtime error names the user's file and line.
	_, err = w.Create(ctx, "throws", "", "typescript", "type X = number\nexport function handle(o: any): X {\n  o = {}\n  return o.missing.deep()\n}")
	must(t, err)
	_, err = w.Invoke(ctx, "throws", 5*second)
	if !errors.Is(err, function.ErrFunction) || !strings.Contains(err.Error(), "function.ts:4:") {
		t.Errorf("runtime error: %v", err)
	}
	// ... and its stack is in the error and in the log, with the user's lines.
	_, err = w.Create(ctx, "deep", "", "typescript", "type X = number\nfunction inner(o: any): X {\n  return o.missing.deep()\n}\nexport const handle = (): X => inner({})")
	must(t, err)
	res, err := w.Do(ctx, "deep", nil)
	var fe *function.Error
	if !errors.As(err, &fe) {
		t.Fatalf("runtime error: %v", err)
	}
	for _, where := range []string{fe.Stderr, string(res.Log)} {
		if !strings.Contains(where, "at inner (function.ts:3:") || !strings.Contains(where, "function.ts:5:") {
			t.Errorf("stack %q", where)
		}
	}
}

func TestInvocationRecord(t *testing.T) {
	w, ctx := newWorld(t, nil), t.Context()
	_, err := w.Upload(ctx, "echo", "", echoWASM(t))
	must(t, err)
	_, err = w.InvokeWithEvent(ctx, "echo", 5*second, []byte(`{"do":"echo","text":"abc"}`))
	must(t, err)
	_, err = w.InvokeWithEvent(ctx, "echo", 5*second, []byte(`{"do":"exit","code":3,"text":"no luck"}`))
	var e *function.Error
	if !errors.As(err, &e) || e.Code != "function_error" || e.ExitCode != 3 || !strings.Contains(e.Stderr, "no luck") {
		t.Fatalf("exit 3: %#v", err)
	}
	list, err := w.ListInvocations(ctx, "echo")
	must(t, err)
	if len(list) != 2 {
		t.Fatalf("%d invocations", len(list))
	}
	bad, good := list[0], list[1] // newest first
	for _, inv := range list {
		if inv.ID == "" || inv.FunctionID == "" || inv.StartedAt.IsZero() || inv.CompletedAt == nil || inv.ExecutionMs == nil ||
			inv.PeakMemoryBytes < 1<<20 || len(inv.TraceID) != 32 {
			t.Errorf("invocation lacks a field: %+v", inv)
		}
	}
	if !good.Success || good.Output != "abc" || good.OutputSizeBytes != 3 || good.Error != "" {
		t.Errorf("good invocation %+v", good)
	}
	if bad.Success || bad.Output != "partial" || !strings.Contains(bad.Error, "function_error") || !strings.Contains(bad.Error, "code 3") {
		t.Errorf("bad invocation %+v", bad)
	}
	log, err := w.Logs(ctx, bad.ID)
	must(t, err)
	if string(log) != "doing exit\nno luck\n" {
		t.Errorf("log %q", log)
	}
	// Pages: newest first, no gap, no repeat.
	for range 5 {
		_, err := w.Invoke(ctx, "echo", 5*second)
		must(t, err)
	}
	seen, cursor := map[string]bool{}, ""
	for {
		page, err := w.Invocations(ctx, "echo", &function.InvocationsOptions{Limit: 3, Cursor: cursor})
		must(t, err)
		for _, inv := range page.Invocations {
			seen[inv.ID] = true
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if len(seen) != 7 {
		t.Errorf("paging saw %d of 7 invocations", len(seen))
	}
}

func TestNames(t *testing.T) {
	w, ctx := newWorld(t, nil), t.Context()
	for _, name := range []string{"", "A", "a b", "-a", "a/b", "../x", strings.Repeat("a", 64), "a_b", "ä", "a\x00"} {
		if _, err := w.Upload(ctx, name, "", helloWASM(t)); !errors.Is(err, function.ErrInvalid) {
			t.Errorf("name %q: %v", name, err)
		}
	}
	_, err := w.Upload(ctx, "a", "", helloWASM(t))
	must(t, err)
	if _, err = w.Upload(ctx, "a", "", helloWASM(t)); !errors.Is(err, function.ErrConflict) {
		t.Errorf("taken name: %v", err)
	}
	_, err = w.Upload(ctx, "b", "", helloWASM(t))
	must(t, err)
	if _, err = w.Update(ctx, "b", "a", "", ""); !errors.Is(err, function.ErrConflict) {
		t.Errorf("rename to a taken name: %v", err)
	}
	renamed, err := w.Update(ctx, "b", "c", "described", "")
	must(t, err)
	if renamed.Name != "c" || renamed.Description != "described" {
		t.Errorf("renamed %+v", renamed)
	}
	if _, err = w.Create(ctx, "x", "", "cobol", "1"); !errors.Is(err, function.ErrInvalid) {
		t.Errorf("language: %v", err)
	}
}
