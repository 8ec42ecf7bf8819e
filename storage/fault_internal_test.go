package storage

import (
	"errors"
	"strings"
	"testing"
)

var errDisk = errors.New("injected disk fault")

// faultyFiles fails the n-th step that changes the disk, and from then on all
// of them when dead is set, as if the process had lost the disk. A failing
// write has written half.
type faultyFiles struct {
	files
	left int
	dead bool
	hit  bool
}

func (f *faultyFiles) step() error {
	f.left--
	if f.left == 0 || f.left < 0 && f.dead {
		f.hit = true
		return errDisk
	}
	return nil
}

func (f *faultyFiles) Create(name string) (file, error) {
	if err := f.step(); err != nil {
		return nil, err
	}
	inner, err := f.files.Create(name)
	return &faultyFile{inner, f}, err
}

func (f *faultyFiles) Rename(from, to string) error {
	if err := f.step(); err != nil {
		return err
	}
	return f.files.Rename(from, to)
}

func (f *faultyFiles) Remove(name string) error {
	if err := f.step(); err != nil {
		return err
	}
	return f.files.Remove(name)
}

func (f *faultyFiles) SyncDir(name string) error {
	if err := f.step(); err != nil {
		return err
	}
	return f.files.SyncDir(name)
}

type faultyFile struct {
	file
	f *faultyFiles
}

func (w *faultyFile) Write(p []byte) (int, error) {
	if err := w.f.step(); err != nil {
		n, _ := w.file.Write(p[:len(p)/2])
		return n, err
	}
	return w.file.Write(p)
}

func (w *faultyFile) Sync() error {
	if err := w.f.step(); err != nil {
		return err
	}
	return w.file.Sync()
}

func (w *faultyFile) Close() error {
	err := w.file.Close()
	if fault := w.f.step(); fault != nil {
		return fault
	}
	return err
}

// Fail at step 1, 2, ... until the put goes through: the key holds the old or
// the new object, whole, and the new one when the put was acknowledged.
func TestFaultAtEveryStep(t *testing.T) {
	older, newer := strings.Repeat("old ", 100_000), strings.Repeat("new! ", 100_000)
	for _, c := range []struct {
		name string
		old  bool
		dead bool
	}{{"new key", false, false}, {"replace", true, false}, {"new key, disk stays away", false, true}, {"replace, disk stays away", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			p := newPair(t)
			l := p.open()
			mustPut(t, l, "bystander", older)
			n := 1
			for ; ; n++ {
				if n > 100 {
					t.Fatal("the put never completes")
				}
				if err := l.Delete(t.Context(), "b", "k"); err != nil {
					t.Fatal(err)
				}
				before := ""
				if c.old {
					before = older
					mustPut(t, l, "k", before)
				}
				faulty := &faultyFiles{files: rootFiles{l.root}, left: n, dead: c.dead}
				l.files = faulty
				_, err := l.Put(t.Context(), "b", "k", strings.NewReader(newer), nil)
				l.files = rootFiles{l.root}
				if err != nil && !errors.Is(err, errDisk) {
					t.Fatalf("step %d: %v", n, err)
				}
				checkWhole(t, l, n, before, newer, err == nil)
				checkWhole(t, p.open(), n, before, newer, err == nil)
				if !faulty.hit {
					break
				}
			}
			// What failures left behind goes when it is old enough.
			for _, name := range p.contents() {
				p.age(name)
			}
			p.open()
			if files := p.contents(); len(files) != 2 {
				t.Errorf("after a sweep: %q", files)
			}
			if n < 8 {
				t.Errorf("a put has only %d steps: the faults do not reach it", n)
			}
		})
	}
}

func checkWhole(t *testing.T, l *Local, step int, older, newer string, acknowledged bool) {
	t.Helper()
	got, err := ReadAll(t.Context(), l, "b", "k", 0)
	switch {
	case errors.Is(err, ErrNotFound) && older == "" && !acknowledged:
	case err != nil:
		t.Errorf("step %d: %v", step, err)
	case string(got) != newer && (acknowledged || older == "" || string(got) != older):
		t.Errorf("step %d, acknowledged %v: neither the old nor the new object: %d bytes", step, acknowledged, len(got))
	}
	if got, err := ReadAll(t.Context(), l, "b", "bystander", 0); err != nil || !strings.HasPrefix(string(got), "old ") {
		t.Errorf("step %d: a bystander with the old content: %v", step, err)
	}
}
