package database_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

func TestTwoProcessesOnOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := plain(t, path)
	for _, q := range []string{"CREATE TABLE x (a INTEGER)", "INSERT INTO x VALUES (0)"} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	const processes = 3
	var wg sync.WaitGroup
	for range processes {
		wg.Go(func() {
			child := exec.Command(os.Args[0])
			child.Env = append(os.Environ(), "FLAGBASE_TEST_WRITER="+path)
			if out, err := child.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	if n := count(t, use(t, db), "SELECT a FROM x"); n != processes*50 {
		t.Errorf("counted %d, want %d", n, processes*50)
	}
}
