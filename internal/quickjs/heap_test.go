package quickjs

import (
	"testing"

	"flagbase.dev/internal/sandbox"
)

// What an invocation allocates first lies together, whatever evaluation left free.
func TestInvocationsAllocateInOnePlace(t *testing.T) {
	rt, err := sandbox.NewRuntime(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rt.Close(t.Context()) }()
	engine, err := New(t.Context(), rt)
	if err != nil {
		t.Fatal(err)
	}
	p, err := engine.Compile(t.Context(), "user.js", []byte(`
		const kept = [];
		for (let i = 0; i < 5000; i++) { const o = { i, [i % 7]: "x".repeat(i % 300) }; if (i % 3) kept.push(o); }
		export const handle = () => kept.length`), nil)
	if err != nil {
		t.Fatal(err)
	}
	inst, err := p.snapshot.Acquire(t.Context(), &sandbox.InstanceOptions{Host: &session{}})
	if err != nil {
		t.Fatal(err)
	}
	defer inst.Release()
	v := &vm{inst: inst}
	runtime := uint64(v.call("JS_GetRuntime", uint64(v.call("qjs_get_context_ptr"))))
	for size := uint32(smallestBlock); size <= largestBlock; size += blockStep(size) {
		first := v.call("js_malloc_rt", runtime, uint64(size-blockHeader))
		if next := v.call("js_malloc_rt", runtime, uint64(size-blockHeader)); next != first+size || v.err != nil {
			t.Errorf("blocks of %d bytes lie at %#x and %#x (%v)", size, first, next, v.err)
		}
	}
}
