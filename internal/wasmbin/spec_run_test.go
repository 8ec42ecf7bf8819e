package wasmbin_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"flagbase.dev/internal/wasmbin"
)

// specQuantum is so small that guests of the suite pause all the time.
const specQuantum = 50

// specFeatures are those that wazero runs each folder of the suite with.
var specFeatures = map[string]api.CoreFeatures{
	"v1":                        api.CoreFeaturesV1,
	"v2":                        api.CoreFeaturesV2,
	"exception-handling":        api.CoreFeaturesV2 | experimental.CoreFeaturesExceptionHandling | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesTypedFunctionReferences,
	"extended-const":            api.CoreFeaturesV2 | experimental.CoreFeaturesExtendedConst,
	"tail-call":                 api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall,
	"threads":                   api.CoreFeaturesV2 | experimental.CoreFeaturesThreads,
	"typed-function-references": api.CoreFeaturesV2 | experimental.CoreFeaturesTypedFunctionReferences | experimental.CoreFeaturesTailCall,
}

// specInherent are the commands whose outcome metering changes by design, by "folder/script:line", with the reason.
var specInherent = map[string]string{
	"v1/linking:306":                        memoryLimits,
	"v1/linking:314":                        withoutImporter,
	"v1/linking:315":                        withoutImporter,
	"v1/linking:316":                        withoutImporter,
	"v1/linking:317":                        withoutImporter,
	"v1/linking:318":                        withoutImporter,
	"v1/linking:319":                        withoutImporter,
	"v1/linking:320":                        withoutImporter,
	"v1/linking:321":                        withoutImporter,
	"v2/linking:367":                        memoryLimits,
	"v2/linking:375":                        withoutImporter,
	"v2/linking:376":                        withoutImporter,
	"v2/linking:377":                        withoutImporter,
	"v2/linking:378":                        withoutImporter,
	"v2/linking:379":                        withoutImporter,
	"v2/linking:380":                        withoutImporter,
	"v2/linking:381":                        withoutImporter,
	"v2/linking:382":                        withoutImporter,
	"v2/linking:407":                        notGrown,
	"typed-function-references/linking:541": memoryLimits,
	"typed-function-references/linking:549": withoutImporter,
	"typed-function-references/linking:550": withoutImporter,
	"typed-function-references/linking:551": withoutImporter,
	"typed-function-references/linking:552": withoutImporter,
	"typed-function-references/linking:553": withoutImporter,
	"typed-function-references/linking:554": withoutImporter,
	"typed-function-references/linking:555": withoutImporter,
	"typed-function-references/linking:556": withoutImporter,
	"typed-function-references/linking:581": notGrown,
	"typed-function-references/table:57":    nullTaken,
	"typed-function-references/table:61":    nullTaken,
}

const (
	memoryLimits = "a module imports another's memory and states the maximum that the other stated, but a metered module's memory has" +
		" 65,536 pages as its maximum (guests of flagbase cannot import memories)"
	withoutImporter = "calls the module that imports that memory"
	notGrown        = "reads past the page that the module which imports the memory was to add"
	nullTaken       = "wazero 1.12.0 takes ref.null func as an initial value for a reference to function 0, and so as never null, when the" +
		" module has a function: metered modules have one (typed references are off in flagbase)"
)

// TestSpecSuiteRunsMetered runs every script of the suite twice, as it is and through Scan and Rewrite, and compares the outcomes of
// each command. With -short it runs one script in eight.
func TestSpecSuiteRunsMetered(t *testing.T) {
	assertions, stockPassed, passed, text, index := 0, 0, 0, 0, 0
	var pauses atomic.Int64
	inherent := map[string]bool{}
	for _, path := range sortedScripts(t) {
		if index++; testing.Short() && index%8 != 0 {
			continue
		}
		folder := filepath.Base(filepath.Dir(filepath.Dir(path)))
		name := folder + "/" + strings.TrimSuffix(filepath.Base(path), ".json")
		commands := specScripts(t)[path]
		stock := newSpecRun(t, path, nil)
		metered := newSpecRun(t, path, &pauses)
		for i := range commands {
			c := &commands[i]
			if c.ModuleType == "text" {
				text++
				continue
			}
			var next *specCommand
			if i+1 < len(commands) {
				next = &commands[i+1]
			}
			want, got := stock.run(c, next), metered.run(c, next)
			if strings.HasPrefix(c.Type, "assert_") {
				assertions++
				if want == nil {
					stockPassed++
				}
				if got == nil {
					passed++
				}
			}
			at := fmt.Sprintf("%s:%d", name, c.Line)
			switch reason, known := specInherent[at]; {
			case want != nil && got != nil, want == nil && got == nil:
			case known:
				inherent[at] = true
				t.Logf("%s %s: differs, as it must: %s", at, c.Type, reason)
			case got != nil:
				t.Errorf("%s %s %s: %v", at, c.Type, c.Action.Field, got)
			default:
				t.Errorf("%s %s %s: passes only metered; as it is: %v", at, c.Type, c.Action.Field, want)
			}
		}
		stock.close()
		metered.close()
	}
	t.Logf("%d assertions, %d passed stock, %d metered; %d more are about the text format; %d pauses", assertions, stockPassed, passed, text, pauses.Load())
	if testing.Short() {
		return
	}
	if assertions+text < 72_365 {
		t.Errorf("the suite has shrunk to %d assertions", assertions+text)
	}
	for at := range specInherent {
		if !inherent[at] {
			t.Errorf("%s is named as a difference, but does not differ", at)
		}
	}
	if pauses.Load() < 100_000 {
		t.Errorf("only %d pauses", pauses.Load())
	}
}

// specRun is one script with its modules, metered or not.
type specRun struct {
	t       testing.TB
	dir     string
	pauses  *atomic.Int64 // nil: not metered
	rt      wazero.Runtime
	modules map[string]api.Module
	last    api.Module
}

func newSpecRun(t testing.TB, path string, pauses *atomic.Int64) *specRun {
	ctx := context.Background()
	dir := filepath.Dir(path)
	features := specFeatures[filepath.Base(filepath.Dir(dir))]
	if features == 0 {
		t.Fatalf("%s: no features are known for this folder", path)
	}
	r := &specRun{t: t, dir: dir, pauses: pauses, modules: map[string]api.Module{}}
	if pauses != nil { // a pause is followed by a tail call
		features |= experimental.CoreFeaturesTailCall
	}
	r.rt = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(features))
	host, err := os.ReadFile(filepath.Join(specDir(), "testdata", "spectest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	// The host module, with tables and memories whose limits scripts ask for, is the host's: never rewritten.
	if _, err := r.rt.InstantiateWithConfig(ctx, host, wazero.NewModuleConfig()); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *specRun) close() { _ = r.rt.Close(context.Background()) }

// instantiate starts a module of the script, metered if the run is.
func (r *specRun) instantiate(filename, as string) (api.Module, error) {
	b, err := os.ReadFile(filepath.Join(r.dir, filename))
	if err != nil {
		r.t.Fatal(err)
	}
	ctx := context.Background()
	if r.pauses != nil {
		m, err := wasmbin.Scan(b, nil)
		if err != nil {
			return nil, err
		}
		if b, err = m.Rewrite(&wasmbin.Rewrite{Meter: true, Quantum: specQuantum}); err != nil {
			return nil, err
		}
		ctx = experimental.WithMemoryAllocator(ctx, &specMemory{own: ownMemory(m), pauses: r.pauses})
	}
	return r.rt.InstantiateWithConfig(ctx, b, wazero.NewModuleConfig().WithName(as))
}

// ownMemory is how large the module itself lets its memory grow, in bytes.
func ownMemory(m *wasmbin.Module) uint64 {
	switch {
	case m.Memory == nil || m.Memory.Imported:
		return 0
	case m.Memory.HasMax:
		return uint64(m.Memory.Max) << 16
	}
	return 1 << 32
}

// specMemory is the memory of one metered instance: it enforces the module's own maximum and counts pauses.
type specMemory struct {
	own    uint64
	bytes  []byte
	pauses *atomic.Int64
}

func (m *specMemory) Allocate(_, _ uint64) experimental.LinearMemory { return m }
func (m *specMemory) Free()                                          {}

func (m *specMemory) Reallocate(size uint64) []byte {
	if size == 1<<32 {
		m.pauses.Add(1)
		return nil
	}
	if size > m.own {
		return nil
	}
	if m.bytes == nil { // shared memory must not move
		m.bytes = make([]byte, size, max(size, min(m.own, 64<<16)))
	} else if size <= uint64(cap(m.bytes)) {
		m.bytes = m.bytes[:size]
	} else {
		m.bytes = append(m.bytes, make([]byte, size-uint64(len(m.bytes)))...)
	}
	return m.bytes
}

// run executes a command and says how its outcome differs from what the suite holds right.
func (r *specRun) run(c, next *specCommand) error {
	switch c.Type {
	case "module":
		as := ""
		if next != nil && next.Type == "register" {
			as = next.As
		}
		m, err := r.instantiate(c.Filename, as)
		if err != nil {
			m = nil
		}
		if r.last = m; c.Name != "" {
			r.modules[c.Name] = m
		}
		return err
	case "register": // done with the module before it
		return nil
	case "assert_invalid", "assert_malformed", "assert_unlinkable", "assert_uninstantiable":
		m, err := r.instantiate(c.Filename, "")
		if c.Type == "assert_uninstantiable" && c.Text == "out of bounds table access" {
			return err // wazero does not report this one, to keep functions in tables alive
		}
		if err == nil {
			return fmt.Errorf("was instantiated: %v", m)
		}
		return nil
	case "action", "assert_return", "assert_trap", "assert_exhaustion", "assert_exception":
		return r.act(c)
	}
	r.t.Fatalf("unknown command %q", c.Type)
	return nil
}

func (r *specRun) act(c *specCommand) error {
	m := r.last
	if c.Action.Module != "" {
		m = r.modules[c.Action.Module]
	}
	if m == nil {
		return errors.New("there is no such module")
	}
	if c.Action.Type == "get" {
		g := m.ExportedGlobal(c.Action.Field)
		if g == nil {
			return errors.New("there is no such global")
		}
		return c.Expected[0].match([]uint64{g.Get()})
	}
	f := m.ExportedFunction(c.Action.Field)
	if f == nil {
		return errors.New("there is no such function")
	}
	var args []uint64
	for _, v := range c.Action.Args {
		args = append(args, v.words()...)
	}
	got, err := f.Call(context.Background(), args...)
	return c.judge(got, err)
}

// judge says how what a call gave differs from what c expects.
func (c *specCommand) judge(got []uint64, err error) error {
	switch want := trapText(c); {
	case want != "" && err == nil:
		return fmt.Errorf("gave %v, the trap %q is expected", got, want)
	case want != "":
		if !strings.Contains(err.Error(), want) {
			return fmt.Errorf("trapped with %q, expected %q", err, want)
		}
		return nil
	case err != nil:
		return err
	case c.Type == "action":
		return nil
	}
	for _, v := range c.Expected {
		n := v.size()
		if n > len(got) {
			return fmt.Errorf("too few results: %v", got)
		}
		if err := v.match(got[:n]); err != nil {
			return err
		}
		got = got[n:]
	}
	if len(got) > 0 {
		return fmt.Errorf("too many results: %v", got)
	}
	return nil
}

// trapText is what wazero says when the trap that c expects happens; "" if c expects none.
func trapText(c *specCommand) string {
	switch c.Type {
	case "assert_exhaustion":
		return "stack overflow"
	case "assert_exception":
		return "uncaught exception"
	case "assert_trap":
		if text, ok := trapTexts[c.Text]; ok {
			return text
		}
		if strings.HasPrefix(c.Text, "uninitialized") {
			return "invalid table access"
		}
		return "no trap of wazero is known for: " + c.Text
	}
	return ""
}

var trapTexts = map[string]string{
	"expected shared memory":        "expected shared memory",
	"out of bounds memory access":   "out of bounds memory access",
	"indirect call type mismatch":   "indirect call type mismatch",
	"indirect call":                 "indirect call type mismatch",
	"undefined element":             "invalid table access",
	"undefined":                     "invalid table access",
	"out of bounds table access":    "invalid table access",
	"integer overflow":              "integer overflow",
	"invalid conversion to integer": "invalid conversion to integer",
	"integer divide by zero":        "integer divide by zero",
	"unaligned atomic":              "unaligned atomic",
	"unreachable":                   "unreachable",
	"uncaught exception":            "uncaught exception",
	"null":                          "null reference",
	"null reference":                "null reference",
	"null function reference":       "null reference",
	"null function":                 "null reference",
}
