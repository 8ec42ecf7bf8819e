//go:build unix

package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestReadOnlyData starts the program as a user who may not write to the data directory.
func TestReadOnlyData(t *testing.T) {
	dir, err := os.MkdirTemp("", "flagbase-readonly-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, "data"), 0o755); _ = os.RemoveAll(dir) })
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	exe := copyExecutable(t, filepath.Join(dir, "flagbase"))
	cmd := exec.Command(exe, "start", "--addr", "127.0.0.1:0", "--data", data)
	cmd.Dir, cmd.Env = dir, []string{runAsMain + "=1", "HOME=" + dir}
	if os.Geteuid() == 0 { // root writes where it likes: be nobody
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	} else if err := os.Chmod(data, 0o555); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "cannot write there") || !strings.Contains(string(out), data) || !strings.Contains(string(out), "--data") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// copyExecutable puts the test binary where another user can run it.
func copyExecutable(t *testing.T, to string) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	f, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, from); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return to
}
