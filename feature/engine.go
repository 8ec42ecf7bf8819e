package feature

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Engine holds flags and evaluates them. Make one with [NewEngine]; it is safe
// for concurrent use.
//
// Flags live in memory, where evaluation reads them, and in SQL, where they
// survive. One process owns them: a change that another process writes to the
// same database is seen at the next NewEngine.
type Engine struct {
	store *store // nil: in memory only

	// changing holds a token while a change is on its way, so that memory and
	// SQL see changes in the same order. A channel, because waiting for it must
	// end with the caller's context.
	changing chan struct{}
	current  atomic.Pointer[snapshot]
}

// snapshot is all flags at one moment. It is never changed, only replaced.
type snapshot struct {
	byKey  map[string]*compiled
	sorted []*compiled // by key
}

// NewEngine returns an engine with the flags stored in db, whose schema it
// migrates. A nil db gives an engine that keeps flags in memory only and starts
// with none.
func NewEngine(ctx context.Context, db *sql.DB) (*Engine, error) {
	e := &Engine{changing: make(chan struct{}, 1)}
	flags := map[string]*compiled{}
	if db != nil {
		var err error
		if e.store, err = openStore(ctx, db); err != nil {
			return nil, fmt.Errorf("open flags: %w", err)
		}
		stored, err := e.store.load(ctx)
		if err != nil {
			return nil, fmt.Errorf("load flags: %w", err)
		}
		for i := range stored {
			c, err := compile(&stored[i])
			if err != nil {
				return nil, fmt.Errorf("load flags: %w", err)
			}
			flags[c.flag.Key] = c
		}
	}
	e.current.Store(newSnapshot(flags))
	return e, nil
}

func newSnapshot(byKey map[string]*compiled) *snapshot {
	return &snapshot{
		byKey: byKey,
		sorted: slices.SortedFunc(maps.Values(byKey), func(a, b *compiled) int {
			return strings.Compare(a.flag.Key, b.flag.Key)
		}),
	}
}

// Put saves f, whether its key is new or known, and returns it as saved. f is
// checked first: ErrInvalid says what is wrong with it. CreatedAt and UpdatedAt
// of f are ignored. When Put returns, evaluations see the flag and, with a
// database, it is stored durably.
func (e *Engine) Put(ctx context.Context, f *Flag) (*Flag, error) {
	if f == nil {
		return nil, fmt.Errorf("put flag: no flag given: %w", ErrInvalid)
	}
	saved := f.clone()
	saved.compact()
	saved.UpdatedAt = time.Now().UTC().Truncate(time.Microsecond)
	saved.CreatedAt = saved.UpdatedAt
	c, err := compile(saved)
	if err != nil {
		return nil, fmt.Errorf("put %w", err)
	}
	if err := e.lock(ctx); err != nil {
		return nil, fmt.Errorf("put flag %q: %w", f.Key, err)
	}
	defer e.unlock()
	old := e.current.Load()
	if was, ok := old.byKey[saved.Key]; ok {
		saved.CreatedAt = was.flag.CreatedAt
	}
	if e.store != nil {
		if err := e.store.put(ctx, saved); err != nil {
			return nil, fmt.Errorf("put flag %q: %w", f.Key, err)
		}
	}
	flags := maps.Clone(old.byKey)
	flags[saved.Key] = c
	e.current.Store(newSnapshot(flags))
	return saved.clone(), nil
}

// Get returns the flag as it was put, or ErrNotFound.
func (e *Engine) Get(_ context.Context, key string) (*Flag, error) {
	c, err := e.find(key)
	if err != nil {
		return nil, err
	}
	return c.flag.clone(), nil
}

// List returns every flag, by key.
func (e *Engine) List(context.Context) ([]Flag, error) {
	sorted := e.current.Load().sorted
	flags := make([]Flag, 0, len(sorted))
	for _, c := range sorted {
		flags = append(flags, *c.flag.clone())
	}
	return flags, nil
}

// Delete removes the flag, or returns ErrNotFound.
func (e *Engine) Delete(ctx context.Context, key string) error {
	if err := e.lock(ctx); err != nil {
		return fmt.Errorf("delete flag %q: %w", key, err)
	}
	defer e.unlock()
	if _, err := e.find(key); err != nil {
		return err
	}
	if e.store != nil {
		if err := e.store.delete(ctx, key); err != nil {
			return fmt.Errorf("delete flag %q: %w", key, err)
		}
	}
	flags := maps.Clone(e.current.Load().byKey)
	delete(flags, key)
	e.current.Store(newSnapshot(flags))
	return nil
}

func (e *Engine) find(key string) (*compiled, error) {
	c, ok := e.current.Load().byKey[key]
	if !ok {
		return nil, fmt.Errorf("flag %q: %w", key, ErrNotFound)
	}
	return c, nil
}

func (e *Engine) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case e.changing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *Engine) unlock() { <-e.changing }

// compact removes the white space from the flag's JSON, as storing does, so that
// a flag reads the same before and after a restart. What is not JSON stays as it
// is, for compile to refuse.
func (f *Flag) compact() {
	tight := func(raw json.RawMessage) json.RawMessage {
		var b bytes.Buffer
		if err := json.Compact(&b, raw); err != nil {
			return raw
		}
		return b.Bytes()
	}
	for name, value := range f.Variants {
		f.Variants[name] = tight(value)
	}
	for i := range f.Rules {
		for j := range f.Rules[i].Conditions {
			c := &f.Rules[i].Conditions[j]
			c.Value = tight(c.Value)
		}
	}
}

// clone returns a copy that shares nothing with f.
func (f *Flag) clone() *Flag {
	c := *f
	if f.Variants != nil {
		c.Variants = make(map[string]json.RawMessage, len(f.Variants))
		for name, value := range f.Variants {
			c.Variants[name] = bytes.Clone(value)
		}
	}
	c.Rollout = slices.Clone(f.Rollout)
	c.Rules = slices.Clone(f.Rules)
	for i := range c.Rules {
		r := &c.Rules[i]
		r.Rollout = slices.Clone(r.Rollout)
		r.Conditions = slices.Clone(r.Conditions)
		for j := range r.Conditions {
			r.Conditions[j].Value = bytes.Clone(r.Conditions[j].Value)
		}
	}
	return &c
}
