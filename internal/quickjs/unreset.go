package quickjs

import (
	"context"
	"time"

	"flagbase.dev/internal/sandbox"
)

// Unreset gives runs of the handler in one instance that is never reset, so that what a
// fresh start costs can be measured. Nothing else may use it: each run sees what the ones
// before left. close gives the instance back.
func (p *Program) Unreset(ctx context.Context) (run func(call *Call) (*Result, error), close func(), err error) {
	s := &session{maps: p.maps, name: p.name}
	inst, err := p.snapshot.Acquire(ctx, &sandbox.InstanceOptions{Host: s, MemoryPages: p.pages})
	if err != nil {
		return nil, nil, err
	}
	return func(call *Call) (*Result, error) {
		*s = session{host: call.Host, maps: p.maps, name: p.name, limit: defaultMaxOutput, main: p.main, places: p.places, log: call.Log, began: time.Now()}
		res := &Result{}
		return res, p.run(ctx, &vm{inst: inst, places: p.places, frees: true}, s, call, p.pages, res)
	}, inst.Release, nil
}
