package drivertest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"flagbase.dev/storage"
)

// hammer: writers and readers on few keys; every read is a whole version that
// somebody wrote to that key.
func hammer(t *testing.T, b storage.BucketAdapter) {
	const workers, rounds = 8, 10
	content := func(worker, round int, key string) string {
		return strings.Repeat(fmt.Sprintf("%s by %d in %d\n", key, worker, round), 500)
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range rounds {
				key := fmt.Sprintf("key-%d", (w+i)%3)
				if err := storage.WriteAll(t.Context(), b, "b", key, []byte(content(w, i, key))); err != nil {
					t.Errorf("Put: %v", err)
					return
				}
				got, err := storage.ReadAll(t.Context(), b, "b", key, 0)
				if errors.Is(err, storage.ErrNotFound) {
					continue
				}
				if err != nil {
					t.Errorf("Get: %v", err)
					return
				}
				var by, in int
				if _, err := fmt.Sscanf(string(got), key+" by %d in %d\n", &by, &in); err != nil || string(got) != content(by, in, key) {
					t.Errorf("%s holds %.60q, which nobody wrote", key, got)
					return
				}
				if i%5 == 4 {
					if err := b.Delete(t.Context(), "b", key); err != nil {
						t.Errorf("Delete: %v", err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

// sameContent: each worker has a key of its own but all have one content, so
// that a store which shares contents is tempted to remove it under a writer.
func sameContent(t *testing.T, b storage.BucketAdapter) {
	const workers, rounds = 8, 10
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			key := fmt.Sprintf("key-%d", w)
			for range rounds {
				if err := storage.WriteAll(t.Context(), b, "b", key, []byte("the one content")); err != nil {
					t.Errorf("Put: %v", err)
					return
				}
				if got, err := storage.ReadAll(t.Context(), b, "b", key, 0); err != nil || string(got) != "the one content" {
					t.Errorf("Get after Put: %q, %v", got, err)
					return
				}
				if err := b.Delete(t.Context(), "b", key); err != nil {
					t.Errorf("Delete: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
}
