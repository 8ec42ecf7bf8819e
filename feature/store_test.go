package feature_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"flagbase.dev/feature"
	"flagbase.dev/internal/database"
	"github.com/google/go-cmp/cmp"
)

func TestFlagsSurviveARestart(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "flags.db")
	open := func() (*feature.Engine, func()) {
		db, err := database.OpenSQLite(ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		e, err := feature.NewEngine(ctx, db)
		if err != nil {
			t.Fatal(err)
		}
		return e, func() { db.Close() }
	}
	e, closeDB := open()
	put(t, e, `{"key":"gone"}`)
	put(t, e, `{"key":"switch","enabled":true}`)
	put(t, e, `{"key":"full","description":"d <&> \u2028","enabled":true,"variants":{"a": {"x": [1, "<&>"]},"b":12345678901234567890},"default_variant":"a","off_variant":"b",
		"rules":[{"name":"n","conditions":[{"attribute":"x","operator":"in","value":[ 1, "<" ]}],"rollout":[{"variant":"b","percent":12.5}]}],"rollout":[{"variant":"a","percent":1}]}`)
	put(t, e, `{"key":"switch","enabled":true,"rollout":[{"variant":"on","percent":50}]}`)
	if err := e.Delete(ctx, "gone"); err != nil {
		t.Fatal(err)
	}
	want, _ := e.List(ctx)
	closeDB()

	e, closeDB = open()
	defer closeDB()
	got, _ := e.List(ctx)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("after a restart:\n%s", diff)
	}
	if len(got) != 2 {
		t.Errorf("%d flags", len(got))
	}
	if v, err := e.Evaluate("full", attrs("x", 2)); err != nil || v.Reason != "DEFAULT" {
		t.Errorf("Evaluate = %+v, %v", v, err)
	}
}

func TestUnstoredChangesAreNotSeen(t *testing.T) {
	ctx := t.Context()
	db, err := database.OpenSQLite(ctx, ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	e, err := feature.NewEngine(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	put(t, e, `{"key":"f","enabled":true}`)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := e.Put(cancelled, &feature.Flag{Key: "f"}); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v, want Canceled", err)
	}
	db.Close()
	if _, err := e.Put(ctx, &feature.Flag{Key: "f"}); err == nil {
		t.Error("Put without a database succeeded")
	}
	if err := e.Delete(ctx, "f"); err == nil {
		t.Error("Delete without a database succeeded")
	}
	if on, err := e.EvaluateBool("f", nil); !on || err != nil {
		t.Errorf("EvaluateBool = %v, %v; want the stored state", on, err)
	}
}

// Readers must always see a flag whole: the variant, value and reason of one Put.
func TestConcurrentPutAndEvaluate(t *testing.T) {
	ctx := t.Context()
	db, err := database.OpenSQLite(ctx, ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	e, err := feature.NewEngine(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	state := func(n int) *feature.Flag {
		name := fmt.Sprintf("v%d", n)
		return &feature.Flag{Key: "f", Enabled: true, DefaultVariant: name, Variants: map[string]json.RawMessage{name: json.RawMessage(fmt.Sprint(n))}}
	}
	if _, err := e.Put(ctx, state(0)); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var readers, writers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				got, err := e.Evaluate("f", user("u"))
				if err != nil || got.Variant != "v"+string(got.Value) {
					t.Errorf("Evaluate = %+v, %v", got, err)
					return
				}
				e.EvaluateAll(nil)
				_, _ = e.List(ctx)
			}
		})
	}
	for w := range 4 {
		writers.Go(func() {
			for i := range 50 {
				if _, err := e.Put(ctx, state(w*100+i)); err != nil {
					t.Error(err)
				}
				other := fmt.Sprintf("other%d", w)
				if _, err := e.Put(ctx, &feature.Flag{Key: other}); err != nil {
					t.Error(err)
				}
				if err := e.Delete(ctx, other); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	again, err := feature.NewEngine(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	memory, _ := e.List(ctx)
	stored, _ := again.List(ctx)
	if diff := cmp.Diff(stored, memory); diff != "" {
		t.Errorf("memory and SQL differ:\n%s", diff)
	}
}
