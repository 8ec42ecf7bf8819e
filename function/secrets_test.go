package function_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"testing"

	"flagbase.dev/function"
)

type oneSecret struct{ function, name, value string }

func (s oneSecret) Secret(_ context.Context, _, functionName, name string) (string, error) {
	if functionName == s.function && name == s.name {
		return s.value, nil
	}
	return "", function.ErrNotFound
}

// A secret reaches the function it was granted to, and no log, error or record.
func TestSecretsStaySecret(t *testing.T) {
	const value = "s3cr3t/värde+1"
	w := newWorld(t, &function.EngineOptions{Secrets: oneSecret{"payments", "key", value}})
	ctx := t.Context()
	source := `export function handle() {
		const s = flagbase.secret.get("key")
		console.log("log", s, encodeURIComponent(s))
		flagbase.log.error("structured " + s)
		throw new Error("cannot pay with " + s)
	}`
	for _, name := range []string{"payments", "others"} {
		_, err := w.Create(ctx, name, "", "javascript", source)
		must(t, err)
	}
	res, err := w.Do(ctx, "payments", nil)
	if err == nil || !strings.Contains(err.Error(), "cannot pay with [secret]") {
		t.Errorf("error: %v", err)
	}
	inv, getErr := w.GetInvocation(ctx, res.InvocationID)
	must(t, getErr)
	log, logErr := w.Logs(ctx, res.InvocationID)
	must(t, logErr)
	must(t, w.tracer.Flush(ctx))
	spans, traceErr := w.tracer.Trace(ctx, res.TraceID)
	must(t, traceErr)
	var fe *function.Error
	all := err.Error() + inv.Error + inv.Output + string(log) + string(res.Log)
	if errors.As(err, &fe) {
		all += fe.Stderr
	}
	for _, s := range spans {
		all += s.Name + s.Error
	}
	for _, form := range []string{value, base64.StdEncoding.EncodeToString([]byte(value)), url.QueryEscape(value), url.PathEscape(value)} {
		if strings.Contains(all, form) {
			t.Errorf("%q is in %s", form, all)
		}
	}
	if !strings.Contains(string(log), "structured [secret]") {
		t.Errorf("log: %s", log)
	}
	if _, err := w.Invoke(ctx, "others", second); err == nil || !strings.Contains(err.Error(), "no such secret") {
		t.Errorf("a function without the grant: %v", err)
	}
}

// Where a log is cut, no half of a secret is left.
func TestSecretsAreReplacedBeforeTheLogIsCut(t *testing.T) {
	w := newWorld(t, &function.EngineOptions{Secrets: oneSecret{"f", "key", "correct-horse"}})
	_, err := w.Create(t.Context(), "f", "", "javascript", `export function handle() {
		console.log(flagbase.secret.get("key") + "x".repeat(4096 - "horse".length - 1))
		throw new Error("no")
	}`)
	must(t, err)
	_, err = w.Invoke(t.Context(), "f", 5*second)
	var e *function.Error
	if !errors.As(err, &e) || !strings.Contains(e.Stderr, "xxx") || strings.Contains(e.Stderr, "horse") {
		t.Errorf("%.60q", e.Stderr)
	}
}
