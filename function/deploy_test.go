package function_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"flagbase.dev/function"
	"flagbase.dev/internal/testguest"
	"flagbase.dev/storage"
)

// slowPut takes its time after an artifact was stored.
type slowPut struct {
	storage.BucketAdapter
	stored chan struct{} // nil: as fast as ever
}

func (s *slowPut) Put(ctx context.Context, bucket, key string, body io.Reader, opts *storage.PutOptions) (*storage.Object, error) {
	o, err := s.BucketAdapter.Put(ctx, bucket, key, body, opts)
	if s.stored != nil {
		close(s.stored)
		time.Sleep(300 * time.Millisecond)
	}
	return o, err
}

// Deleting a function never takes the artifact from a deployment of the same bytes
// that is under way.
func TestDeleteDuringADeployOfTheSameBytes(t *testing.T) {
	w, ctx := newWorld(t, nil), t.Context()
	bucket := &slowPut{BucketAdapter: w.bucket}
	store, err := function.NewStore(w.db, bucket, w.engine, nil)
	must(t, err)
	wasm := testguest.WAT(t, `(module (func (export "handle")))`)
	_, err = store.Upload(ctx, "one", "", wasm)
	must(t, err)
	bucket.stored = make(chan struct{})
	uploaded := make(chan error)
	go func() { uploaded <- second1(store.Upload(ctx, "two", "", wasm)) }()
	<-bucket.stored
	must(t, w.Delete(ctx, "one"))
	must(t, <-uploaded)
	fresh, err := function.NewStore(w.db, w.bucket, w.engine, nil) // has nothing ready in memory
	must(t, err)
	if _, err := fresh.Invoke(ctx, "two", 5*second); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

// Whoever waits for another deployment of a function stops waiting with its context.
func TestWaitingForADeployEnds(t *testing.T) {
	w, ctx := newWorld(t, nil), t.Context()
	bucket := &slowPut{BucketAdapter: w.bucket}
	store, err := function.NewStore(w.db, bucket, w.engine, nil)
	must(t, err)
	wasm := testguest.WAT(t, `(module (func (export "handle")))`)
	_, err = store.Upload(ctx, "one", "", wasm)
	must(t, err)
	bucket.stored = make(chan struct{})
	deployed := make(chan error)
	go func() { deployed <- second1(store.DeployVersion(ctx, "one", wasm)) }()
	<-bucket.stored
	endsInTime(t, 50*time.Millisecond, func() error {
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		return second1(store.Activate(short, "one", 1))
	})
	must(t, <-deployed)
	_, err = store.Activate(ctx, "one", 1)
	must(t, err)
}

func TestNegativeLimitsAreRefused(t *testing.T) {
	for _, o := range []function.EngineOptions{
		{MemoryLimitBytes: -1}, {OutputLimitBytes: -1}, {LogLimitBytes: -1}, {EventLimitBytes: -1}, {ArtifactLimitBytes: -1},
		{Timeout: -1}, {MaxCallDepth: -1}, {MaxConcurrency: -1},
	} {
		if _, err := function.NewEngine(t.Context(), &o); !errors.Is(err, function.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
