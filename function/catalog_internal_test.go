package function

import (
	"context"
	"fmt"
	"sync"
	"testing"
)

type weight int64

func (weight) run(context.Context, *input) (*result, error) { return &result{}, nil }
func (w weight) size() int64                                { return int64(w) }

func newCatalog() *catalog { return &catalog{residents: map[string]*resident{}} }

func (c *catalog) put(t *testing.T, id, name string, version int) *live {
	f := &live{id: id, name: name, active: version}
	if !c.keep(f, c.epoch(), queueLimits{running: 1}) {
		t.Error("nothing changed meanwhile, but it was not kept")
	}
	return f
}

// What was not used lately goes first, and what is used all the time stays.
func TestCatalogEviction(t *testing.T) {
	c := newCatalog()
	var functions []*live
	for i := range maxReady + 1000 {
		f := c.put(t, fmt.Sprint("fn_", i), fmt.Sprint("f", i), 1)
		functions = append(functions, f)
		c.keepReady(f.resident, 1, weight(1))
		if functions[0].ready(1) == nil {
			t.Fatalf("the version used all the time went after %d others came", i)
		}
	}
	if len(c.ring) != maxReady || c.bytes != maxReady {
		t.Errorf("%d are ready, of %d bytes", len(c.ring), c.bytes)
	}
	ready := 0
	for _, f := range functions {
		if f.ready(1) != nil {
			ready++
		}
	}
	if ready != maxReady {
		t.Errorf("%d are found, %d are in the ring", ready, len(c.ring))
	}
	last := functions[len(functions)-1]
	c.keepReady(last.resident, 2, weight(maxReadyBytes))
	if len(c.ring) != 1 || last.ready(2) == nil || last.ready(1) != nil {
		t.Errorf("one that fills the memory left %d others", len(c.ring)-1)
	}
	c.forget(last.id, true)
	if len(c.ring) != 0 || c.bytes != 0 || c.lookup(last.name) != nil {
		t.Errorf("deleted, but %d versions of %d bytes are ready", len(c.ring), c.bytes)
	}
	c.keepReady(last.resident, 3, weight(1))
	if len(c.ring) != 0 {
		t.Error("a version of a deleted function was kept")
	}
}

// What was read before a change is not kept after it.
func TestCatalogChanges(t *testing.T) {
	c := newCatalog()
	old := c.epoch()
	c.forget("fn_1", false)
	if c.keep(&live{id: "fn_1", name: "a", active: 1}, old, queueLimits{}) || c.lookup("a") != nil {
		t.Error("the state before the change was kept")
	}
	f := c.put(t, "fn_1", "a", 2)
	c.keepReady(f.resident, 2, weight(1))
	c.forget("fn_1", false)
	if c.lookup("a") != nil || c.lookup("fn_1") != nil {
		t.Error("found after it was forgotten")
	}
	if g := c.put(t, "fn_1", "b", 3); g.ready(2) == nil || c.lookup("a") != nil || c.lookup("b") != g {
		t.Error("after a rename")
	}
}

func TestCatalogHammer(t *testing.T) {
	c := newCatalog()
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 2000 {
				id := fmt.Sprint("fn_", i%10)
				f := c.lookup(id)
				if f == nil {
					f = &live{id: id, name: id[3:], active: 1}
					if !c.keep(f, c.epoch(), queueLimits{running: 1}) {
						continue
					}
				}
				if f.ready(i%3) == nil {
					c.keepReady(f.resident, i%3, weight(1))
				}
				if (i+g)%17 == 0 {
					c.forget(id, i%2 == 0)
				}
			}
		})
	}
	all.Wait()
	if int64(len(c.ring)) != c.bytes {
		t.Errorf("%d versions of %d bytes", len(c.ring), c.bytes)
	}
	for i, p := range c.ring {
		if p.place != i || (*p.owner.versions.Load())[p.version] != p {
			t.Errorf("the version at %d does not know where it is", i)
		}
	}
}
