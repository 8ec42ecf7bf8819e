package sandbox

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// ValueType is the type of a WebAssembly parameter or result.
type ValueType = api.ValueType

// The number types of WebAssembly.
const (
	I32 ValueType = api.ValueTypeI32
	I64 ValueType = api.ValueTypeI64
	F32 ValueType = api.ValueTypeF32
	F64 ValueType = api.ValueTypeF64
)

// HostFunc is a function of the host that guests import.
type HostFunc struct {
	Name            string
	Params, Results []ValueType

	// Quick says that Call seldom waits for anything, and that no other goroutine writes to
	// the guest's memory for it: the guest keeps its thread. Before it waits for long all
	// the same it calls Instance.Waits.
	Quick bool

	// Call gets the parameters in stack, one a slot, and leaves the results in
	// stack[0], stack[1], ... ctx is the invocation's. What belongs to one
	// invocation is found through g.Host(), never captured here.
	Call func(ctx context.Context, g *Instance, stack []uint64)
}

// HostModule is a named set of host functions.
type HostModule struct {
	Name  string
	Funcs []HostFunc
}

// callContext carries the instance to host functions. wazero hands a call's
// context to every host function the call reaches.
type callContext struct {
	context.Context
	inst *Instance
}

type instanceKey struct{}

func (c *callContext) Value(key any) any {
	if _, ok := key.(instanceKey); ok {
		return c.inst
	}
	return c.Context.Value(key)
}

func instanceOf(ctx context.Context) *Instance {
	if c, ok := ctx.(*callContext); ok {
		return c.inst
	}
	inst, _ := ctx.Value(instanceKey{}).(*Instance)
	return inst
}

// export adds fn to a wazero host module. The wrapper stops a guest whose time
// is over before and after each host call, so that a loop of host calls ends too.
func export(b wazero.HostModuleBuilder, fn HostFunc) {
	call, quick := fn.Call, fn.Quick
	b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, _ api.Module, stack []uint64) {
		inst := instanceOf(ctx)
		was := inst.lap(false)
		if !quick {
			inst.unpin()
		}
		inst.checkInterrupt()
		call(ctx, inst, stack)
		inst.checkInterrupt()
		inst.lap(was)
	}), fn.Params, fn.Results).Export(fn.Name)
}

func sameTypes(a, b []ValueType) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
