// Package archtest keeps the walls of the house: who may import whom. The rooms and
// the reasons are in docs/architecture.md.
package archtest

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "flagbase.dev/"

// room is a folder with the packages in and below it, and what of the project it
// may import. What is not listed is a wall.
type room struct {
	name  string
	may   []string
	walls string // why it may import no more
}

var services = []string{"feature", "storage", "table", "tracing"}

var rooms = []room{
	{"internal/wasmbin", nil, "it is pure functions over bytes"},
	{"internal/egress", nil, "the wall against SSRF stands alone, so that it can be read alone"},
	{"internal/bundle", nil, "it turns source into source"},
	{"internal/database", nil, "everybody who keeps something stands on it"},
	{"internal/testguest", nil, "it builds guests for the tests of every room"},
	{"internal/project", []string{"internal/bundle"}, "a project folder is built without a server"},
	{"internal/sandbox", []string{"internal/wasmbin"}, "it knows no flagbase service: what a guest can reach is decided to its right"},
	{"internal/quickjs", []string{"internal/sandbox"}, "JavaScript is one more guest; its host calls come through an interface"},
	{"internal/hostabi", append([]string{"internal/sandbox", "internal/egress"}, services...), "it asks for the functions it invokes through an interface of its own"},
	{"feature", []string{"internal/database"}, "services never know each other"},
	{"storage", []string{"internal/database"}, "services never know each other"},
	{"table", []string{"internal/database"}, "services never know each other"},
	{"tracing", []string{"internal/database"}, "services never know each other"},
	{"auth", []string{"internal/database"}, "services never know each other"},
	{"function", append([]string{"internal/sandbox", "internal/quickjs", "internal/hostabi", "internal/bundle", "internal/egress", "internal/database"}, services...), "the domain holds no HTTP server and no command"},
	{"server", append([]string{"function", "auth"}, services...), "it decodes, authorises, calls a domain package and encodes; it holds no SQL"},
	{"client", nil, "it speaks HTTP to any flagbase; its types are its own"},
	{"internal/app", append([]string{"function", "server", "auth", "internal/database", "internal/sandbox"}, services...), "it composes, and starts the processes that compile for the sandbox; commands are to its right"},
	{"internal/cli", []string{"internal/app", "internal/project", "client"}, "a command is a client of the API like any other"},
	{"cmd/flagbase", []string{"internal/cli"}, "main is ten lines"},
}

// outside are imports from beyond the project that only one room may have.
var outside = []struct {
	prefix string
	rooms  []string
	why    string
}{
	{"github.com/tetratelabs/wazero", []string{"internal/sandbox"}, "what runs guests can be replaced in one room"},
	{"modernc.org/sqlite", []string{"internal/database", "storage"}, "the engine is chosen in one room"},
	{"github.com/evanw/esbuild", []string{"internal/bundle"}, "the bundler is chosen in one room"},
	{"github.com/spf13/cobra", []string{"internal/cli"}, "commands live in one room"},
	{"github.com/danielgtaylor/huma", []string{"server"}, "HTTP lives in one room"},
	{"code.dny.dev/ssrf", []string{"internal/egress"}, "there is one way out"},
}

// forbidden are standard packages that tell of a concern in the wrong room.
var forbidden = []struct {
	pkg   string
	rooms []string
	why   string
}{
	{"database/sql", []string{"server", "client", "internal/cli", "internal/sandbox", "internal/quickjs", "internal/hostabi"}, "SQL stays in the domain"},
	{"os/exec", []string{"function", "server", "internal/hostabi", "internal/sandbox"}, "what runs guests starts no process by name"},
	{"plugin", []string{""}, "code is loaded into sandboxes only"},
	{"C", []string{""}, "the product is built without cgo"},
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	if len(list) < len(rooms) {
		t.Fatalf("go list found %d packages, fewer than there are rooms", len(list))
	}
	return list
}

func within(path, room string) bool {
	return room == "" || path == room || strings.HasPrefix(path, room+"/")
}

func roomOf(path string) *room {
	for i := range rooms {
		if within(path, rooms[i].name) {
			return &rooms[i]
		}
	}
	return nil
}

func TestWalls(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		if within(path, "internal/archtest") || within(path, "examples") || within(path, "docs") {
			continue
		}
		here := roomOf(path)
		if here == nil {
			t.Errorf("%s belongs to no room: give it one in docs/architecture.md and here", path)
			continue
		}
		seen[here.name] = true
		for _, imp := range p.Imports {
			target, ours := strings.CutPrefix(imp, module)
			if ours {
				there := roomOf(target)
				if there == nil || there.name != here.name && !slices.Contains(here.may, there.name) {
					t.Errorf("%s imports %s: %s", path, target, here.walls)
				}
				continue
			}
			for _, o := range outside {
				if strings.HasPrefix(imp, o.prefix) && !slices.Contains(o.rooms, here.name) {
					t.Errorf("%s imports %s, which only %v may: %s", path, imp, o.rooms, o.why)
				}
			}
			for _, f := range forbidden {
				if imp == f.pkg && slices.ContainsFunc(f.rooms, func(r string) bool { return within(path, r) }) {
					t.Errorf("%s imports %s: %s", path, imp, f.why)
				}
			}
		}
	}
	for _, r := range rooms {
		if !seen[r.name] {
			t.Errorf("room %s has no package", r.name)
		}
	}
}
