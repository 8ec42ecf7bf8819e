package wasmbin_test

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"flagbase.dev/internal/wasmbin"
)

// allFeatures is everything wazero can run.
const allFeatures = api.CoreFeaturesV2 | experimental.CoreFeaturesThreads | experimental.CoreFeaturesTailCall |
	experimental.CoreFeaturesExtendedConst | experimental.CoreFeaturesExceptionHandling | experimental.CoreFeaturesTypedFunctionReferences

// specDir is where the wazero module keeps the specification's test suite, in the module cache.
var specDir = sync.OnceValue(func() string {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		return ""
	}
	return filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest")
})

type specCommand struct {
	Type       string     `json:"type"`
	Line       int        `json:"line"`
	Name       string     `json:"name"`
	As         string     `json:"as"`
	Filename   string     `json:"filename"`
	ModuleType string     `json:"module_type"`
	Text       string     `json:"text"`
	Action     specAction `json:"action"`
	Expected   []specVal  `json:"expected"`
}

type specAction struct {
	Type   string    `json:"type"`
	Module string    `json:"module"`
	Field  string    `json:"field"`
	Args   []specVal `json:"args"`
}

type specVal struct {
	Type     string `json:"type"`
	LaneType string `json:"lane_type"`
	Value    any    `json:"value"`
}

// specScripts reads all scripts of the suite, by path.
var specScripts = func() func(testing.TB) map[string][]specCommand {
	var once sync.Once
	var scripts map[string][]specCommand
	return func(t testing.TB) map[string][]specCommand {
		t.Helper()
		once.Do(func() { scripts = readSpecScripts(t) })
		return scripts
	}
}()

func sortedScripts(t testing.TB) []string { return slices.Sorted(maps.Keys(specScripts(t))) }

func readSpecScripts(t testing.TB) map[string][]specCommand {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(specDir(), "*", "testdata", "*.json"))
	if err != nil || len(paths) < 150 {
		t.Fatalf("found %d scripts of the specification's suite in %q: %v", len(paths), specDir(), err)
	}
	scripts := map[string][]specCommand{}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var script struct {
			Commands []specCommand `json:"commands"`
		}
		if err := json.Unmarshal(b, &script); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		scripts[path] = script.Commands
	}
	return scripts
}

// valid says whether the suite holds the command's module to be valid.
func (c *specCommand) valid() bool {
	if c.Filename == "" || c.ModuleType == "text" || strings.HasSuffix(c.Filename, ".wat") {
		return false
	}
	switch c.Type {
	case "module", "assert_unlinkable", "assert_uninstantiable", "module_definition":
		return true
	}
	return false
}

func TestSpecModulesAreAccepted(t *testing.T) {
	ctx := context.Background()
	accepted, refused, malformed := 0, 0, 0
	for path, commands := range specScripts(t) {
		rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(allFeatures))
		for _, c := range commands {
			if c.Filename == "" || strings.HasSuffix(c.Filename, ".wat") {
				continue
			}
			b, err := os.ReadFile(filepath.Join(filepath.Dir(path), c.Filename))
			if err != nil {
				t.Fatal(err)
			}
			m, err := wasmbin.Scan(b, nil)
			if !c.valid() {
				if c.Type == "assert_malformed" {
					malformed++
					if err != nil {
						refused++
					}
				}
				continue
			}
			if err != nil {
				t.Errorf("%s:%d %s: %v", filepath.Base(path), c.Line, c.Filename, err)
				continue
			}
			accepted++
			rewritten, err := m.Rewrite(&wasmbin.Rewrite{Meter: true, BlankData: true, StartExport: "start!", ExportGlobals: "global!"})
			if err != nil {
				t.Errorf("%s:%d %s: rewrite: %v", filepath.Base(path), c.Line, c.Filename, err)
				continue
			}
			if _, err := wasmbin.Scan(rewritten, nil); err != nil {
				t.Errorf("%s:%d %s: scan of the rewritten module: %v", filepath.Base(path), c.Line, c.Filename, err)
			}
			if compiled, err := rt.CompileModule(ctx, rewritten); err != nil {
				t.Errorf("%s:%d %s: rewritten module: %v", filepath.Base(path), c.Line, c.Filename, err)
			} else {
				compiled.Close(ctx)
			}
		}
		rt.Close(ctx)
	}
	t.Logf("%d valid modules accepted, rewritten and compiled; %d of %d malformed ones refused", accepted, refused, malformed)
	if accepted < 1_500 {
		t.Errorf("only %d valid modules were found", accepted)
	}
}
