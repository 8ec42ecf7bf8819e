package storage_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"flagbase.dev/internal/database"
	"flagbase.dev/storage"
)

// crashContent is what the n-th put of a worker's key holds: large enough that
// a kill falls into the middle of it.
func crashContent(worker, n int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "worker %d put %d\n", worker, n), 4000)
}

// putterProcess puts until it is killed. Each worker replaces its own key and
// puts a new one, and says so on stdout after each acknowledged put.
func putterProcess(dir string) {
	ctx := context.Background()
	db, err := database.OpenSQLite(ctx, filepath.Join(dir, "x.db"))
	if err != nil {
		fmt.Println("error", err)
		return
	}
	l, err := storage.OpenLocal(ctx, filepath.Join(dir, "objects"), db)
	if err != nil {
		fmt.Println("error", err)
		return
	}
	var mu sync.Mutex
	for w := range 4 {
		go func() {
			for n := 0; ; n++ {
				for _, key := range []string{fmt.Sprintf("w%d", w), fmt.Sprintf("w%d-%d-%d", w, os.Getpid(), n)} {
					if err := storage.WriteAll(ctx, l, "b", key, crashContent(w, n)); err != nil {
						fmt.Println("error", err)
						os.Exit(1)
					}
					mu.Lock()
					fmt.Println("put", key, w, n)
					mu.Unlock()
				}
			}
		}()
	}
	select {}
}

func TestKilledDuringPuts(t *testing.T) {
	dir := t.TempDir()
	once := map[string][2]int{} // keys put once: worker and number
	last := map[string]int{}    // keys replaced: the last acknowledged number
	for round := range 5 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "FLAGBASE_TEST_PUTTER="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		child.Stderr = os.Stderr
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		clear(last)
		lines := bufio.NewScanner(out)
		acknowledged := 0
		for lines.Scan() {
			var key string
			var w, n int
			if _, err := fmt.Sscanf(lines.Text(), "put %s %d %d", &key, &w, &n); err != nil {
				t.Errorf("child said %q", lines.Text())
				break
			}
			if strings.Contains(key, "-") {
				once[key] = [2]int{w, n}
			} else {
				last[key] = n
			}
			if acknowledged++; acknowledged == 10 {
				time.AfterFunc(time.Duration(round*7)*time.Millisecond, func() { _ = child.Process.Kill() })
			}
		}
		_ = child.Process.Kill()
		_ = child.Wait()
		checkAfterCrash(t, dir, once, last)
	}
	t.Logf("%d acknowledged puts of single keys", len(once))
}

func checkAfterCrash(t *testing.T, dir string, once map[string][2]int, last map[string]int) {
	t.Helper()
	db := openDB(t, filepath.Join(dir, "x.db"))
	l := openLocal(t, filepath.Join(dir, "objects"), db)
	for key, put := range once {
		got, err := storage.ReadAll(t.Context(), l, "b", key, 0)
		if err != nil || !bytes.Equal(got, crashContent(put[0], put[1])) {
			t.Fatalf("acknowledged put of %s is not there whole: %d bytes, %v", key, len(got), err)
		}
	}
	for key, n := range last {
		var w int
		if _, err := fmt.Sscanf(key, "w%d", &w); err != nil {
			t.Fatal(err)
		}
		got, err := storage.ReadAll(t.Context(), l, "b", key, 0)
		if err != nil || !bytes.Equal(got, crashContent(w, n)) && !bytes.Equal(got, crashContent(w, n+1)) {
			t.Fatalf("%s is neither acknowledged put %d nor the one after: %.40q, %v", key, n, got, err)
		}
	}
	// Nothing unacknowledged is half there either.
	for after := ""; ; {
		p, err := l.List(t.Context(), "b", &storage.ListOptions{After: after})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range p.Objects {
			if _, err := storage.ReadAll(t.Context(), l, "b", o.Key, 0); err != nil {
				t.Fatal(err)
			}
		}
		if after = p.Next; after == "" {
			break
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
