package wasmbin_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flagbase.dev/internal/sandbox"
)

// specHost is the functions of the suite's host module; the rest of it is globals, a table and a memory, which guests of
// flagbase cannot import.
var specHost = func() sandbox.HostModule {
	m := sandbox.HostModule{Name: "spectest"}
	add := func(name string, params ...sandbox.ValueType) {
		m.Funcs = append(m.Funcs, sandbox.HostFunc{Name: name, Params: params, Call: func(context.Context, *sandbox.Instance, []uint64) {}})
	}
	add("print")
	add("print_i32", sandbox.I32)
	add("print_i64", sandbox.I64)
	add("print_f32", sandbox.F32)
	add("print_f64", sandbox.F64)
	add("print_i32_f32", sandbox.I32, sandbox.F32)
	add("print_f64_f64", sandbox.F64, sandbox.F64)
	return m
}()

// Why a module of the suite does not run in the sandbox.
const (
	importsState    = "imports a global, a table or a memory, or a function of another module"
	unboundedTable  = "grows a table that states no maximum"
	featureOff      = "has a feature that flagbase has off (threads, exceptions, typed references)"
	neverStarts     = "is one that does not start, also in stock wazero"
	sharedElsewhere = "shares its memory, table or functions with another module"
	readsGlobal     = "reads an exported global from outside"
)

// specAccepted are the modules that the suite wants refused and the sandbox runs, by "folder/script:line", with the reason.
var specAccepted = map[string]string{
	"v2/elem:171":                            constants,
	"v2/elem:175":                            constants,
	"v2/ref_func:113":                        startDeclared,
	"typed-function-references/ref_func:113": startDeclared,
	"typed-function-references/table:57":     nullTaken,
	"typed-function-references/table:61":     nullTaken,
}

const (
	constants     = "extended constant expressions, which flagbase has on, may use the module's own globals"
	startDeclared = "a function takes a reference to the start function, which rewriting exports, and what is exported may be referred to"
)

// specUnit is a module of a script and all that the script does with it.
type specUnit struct {
	module *sandbox.Module
	why    string // it does not run
	at     string
	acts   []specAct
}

// specAct is a command, and what stock wazero made of it.
type specAct struct {
	*specCommand
	want error
}

// specTally is what the sandbox made of the suite.
type specTally struct {
	modules, restorable          int
	runs, passed, stock          int // of assertions; each runs two or four times
	refused, newer               int
	instances, assertionsInStock int
	notModules, notAssertions    map[string]int // by why they do not run
}

// TestSpecSuiteInSandbox runs the suite through a Runtime: Prepare, which scans, rewrites and compiles, and each module's commands
// in a new instance, one that was restored, and where the module has them in one of a snapshot and a restored one of that.
// Every command must end as it does in stock wazero. With -short it runs one script in eight.
func TestSpecSuiteInSandbox(t *testing.T) {
	tally := &specTally{notModules: map[string]int{}, notAssertions: map[string]int{}}
	for i, path := range sortedScripts(t) {
		if !testing.Short() || i%8 == 0 {
			tally.script(t, path)
		}
	}
	t.Logf("%d modules, %d of them restored exactly, %d instances; %d assertions, of which stock wazero passes %d; %d runs of them, %d passed", tally.modules, tally.restorable, tally.instances,
		tally.assertionsInStock, tally.stock, tally.runs, tally.passed)
	t.Logf("%d modules that the suite wants refused were; %d only became valid after version 1", tally.refused, tally.newer)
	for _, why := range slices.Sorted(mapsKeys(tally.notModules, tally.notAssertions)) {
		t.Logf("not run: %d modules, %d assertions: %s", tally.notModules[why], tally.notAssertions[why], why)
	}
	if !testing.Short() && (tally.modules < 1_500 || tally.assertionsInStock < 60_000) {
		t.Error("most of the suite was not run")
	}
}

func mapsKeys(all ...map[string]int) func(func(string) bool) {
	return func(yield func(string) bool) {
		seen := map[string]bool{}
		for _, m := range all {
			for k := range m {
				if !seen[k] {
					if seen[k] = true; !yield(k) {
						return
					}
				}
			}
		}
	}
}

func (y *specTally) script(t *testing.T, path string) {
	ctx := context.Background()
	rt, err := sandbox.NewRuntime(ctx, nil)
	if err == nil {
		err = rt.Register(ctx, specHost)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rt.Close(ctx) }()
	folder := filepath.Base(filepath.Dir(filepath.Dir(path)))
	name := folder + "/" + strings.TrimSuffix(filepath.Base(path), ".json")
	stock := newSpecRun(t, path, nil)
	defer stock.close()
	commands := specScripts(t)[path]
	var units []*specUnit
	named := map[string]*specUnit{}
	var last *specUnit
	for i := range commands {
		c := &commands[i]
		if c.ModuleType == "text" {
			continue
		}
		var next *specCommand
		if i+1 < len(commands) {
			next = &commands[i+1]
		}
		want := stock.run(c, next)
		at := fmt.Sprintf("%s:%d", name, c.Line)
		switch c.Type {
		case "register":
		case "module":
			last = &specUnit{at: at}
			units = append(units, last)
			if c.Name != "" {
				named[c.Name] = last
			}
			if last.module, last.why = y.prepare(t, ctx, rt, path, at, c); want != nil && last.why == "" {
				last.why = neverStarts
			}
			if next != nil && next.Type == "register" && last.why == "" && imported(commands[i:], path, next.As) {
				last.why = sharedElsewhere
			}
			if last.why != "" {
				y.notModules[last.why]++
			}
		case "assert_invalid", "assert_malformed", "assert_unlinkable", "assert_uninstantiable":
			y.refuse(t, ctx, rt, path, at, c, want)
		default:
			u := last
			if c.Action.Module != "" {
				u = named[c.Action.Module]
			}
			assertion := strings.HasPrefix(c.Type, "assert_")
			why := u.why
			if why == "" && c.Action.Type == "get" {
				why = readsGlobal
			}
			if why != "" {
				if assertion {
					y.notAssertions[why]++
				}
				continue
			}
			if assertion {
				y.assertionsInStock++
				if want == nil {
					y.stock++
				}
			}
			u.acts = append(u.acts, specAct{c, want})
		}
	}
	for _, u := range units {
		if u.why == "" {
			y.modules++
			y.unit(t, ctx, u, name)
		}
	}
}

// imported says whether a module among the commands imports something from the one called as.
func imported(commands []specCommand, path, as string) bool {
	for _, c := range commands {
		if c.Filename == "" || strings.HasSuffix(c.Filename, ".wat") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(filepath.Dir(path), c.Filename))
		if err == nil && strings.Contains(string(b), string(rune(len(as)))+as) {
			return true
		}
	}
	return false
}

// prepare compiles a module; why says for what reason, by design, it does not run.
func (y *specTally) prepare(t *testing.T, ctx context.Context, rt *sandbox.Runtime, path, at string, c *specCommand) (m *sandbox.Module, why string) {
	b, err := os.ReadFile(filepath.Join(filepath.Dir(path), c.Filename))
	if err != nil {
		t.Fatal(err)
	}
	m, err = rt.Prepare(ctx, b)
	if err == nil {
		return m, ""
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "only functions can be imported"), strings.Contains(text, "which flagbase does not provide"), strings.Contains(text, ", but it is ("):
		return nil, importsState
	case strings.Contains(text, "grows a table that states no maximum"):
		return nil, unboundedTable
	}
	for _, folder := range []string{"threads", "exception-handling", "typed-function-references"} {
		if strings.HasPrefix(at, folder+"/") {
			return nil, featureOff
		}
	}
	t.Errorf("%s: refused: %v", at, err)
	return nil, "was refused"
}

// refuse checks that what stock wazero refuses does not run.
func (y *specTally) refuse(t *testing.T, ctx context.Context, rt *sandbox.Runtime, path, at string, c *specCommand, want error) {
	b, err := os.ReadFile(filepath.Join(filepath.Dir(path), c.Filename))
	if err != nil {
		t.Fatal(err)
	}
	m, err := rt.Prepare(ctx, b)
	if err == nil {
		var inst *sandbox.Instance
		if inst, err = m.Acquire(ctx, nil); err == nil {
			inst.Release()
		}
	}
	switch {
	case err != nil:
		y.refused++
	case want != nil: // stock wazero runs it too
	case strings.HasPrefix(at, "v1/"):
		y.newer++
	case c.Type == "assert_uninstantiable" && c.Text == "out of bounds table access":
	case specAccepted[at] != "":
		t.Logf("%s %s: runs, as it must: %s", at, c.Type, specAccepted[at])
	default:
		t.Errorf("%s %s: runs, but stock wazero refuses it", at, c.Type)
	}
}

func (y *specTally) unit(t *testing.T, ctx context.Context, u *specUnit, script string) {
	opts := &sandbox.InstanceOptions{MemoryPages: 1 << 16}
	ways := []func(context.Context, *sandbox.InstanceOptions) (*sandbox.Instance, error){u.module.Acquire, u.module.Acquire}
	for i := 0; i < len(ways); i++ {
		inst, err := ways[i](ctx, opts)
		if err != nil {
			t.Errorf("%s: %v", u.at, err)
			return
		}
		y.instances++
		if i == 0 {
			snapshot, err := inst.Snapshot(nil)
			if err == nil {
				y.restorable++
				ways = append(ways, snapshot.Acquire, snapshot.Acquire)
			} else if !errors.Is(err, sandbox.ErrNoSnapshot) {
				t.Errorf("%s: %v", u.at, err)
			}
		}
		for _, a := range u.acts {
			got := actIn(inst, a.specCommand)
			if strings.HasPrefix(a.Type, "assert_") {
				y.runs++
				if got == nil {
					y.passed++
				}
			}
			if (got == nil) != (a.want == nil) {
				t.Errorf("%s:%d %s %s, instance %d: %v; in stock wazero: %v", script, a.Line, a.Type, a.Action.Field, i+1, got, a.want)
			}
		}
		inst.Release()
	}
}

// actIn executes a command in an instance and says how its outcome differs from what the suite holds right.
func actIn(inst *sandbox.Instance, c *specCommand) error {
	var args []uint64
	for _, v := range c.Action.Args {
		args = append(args, v.words()...)
	}
	got, err := inst.Call(c.Action.Field, args...)
	return c.judge(got, err)
}
