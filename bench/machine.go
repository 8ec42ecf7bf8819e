package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
)

// machine is what the numbers were measured on, and with which versions.
type machine struct {
	System   string            `json:"system"`
	CPU      string            `json:"cpu,omitempty"`
	CPUs     int               `json:"cpus"`
	Memory   string            `json:"memory,omitempty"`
	Load     string            `json:"load,omitempty"` // of the last minute, when the run began
	Versions map[string]string `json:"versions"`
}

func describeMachine(root string) machine {
	m := machine{
		System: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(),
		CPU: field("/proc/cpuinfo", "model name"), Memory: field("/proc/meminfo", "MemTotal"),
		Versions: map[string]string{"go": runtime.Version()},
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(b), " ")
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Versions["kernel"] = strings.TrimSpace(string(b))
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			for _, name := range []string{"github.com/tetratelabs/wazero", "github.com/bytecodealliance/wasmtime-go/v37", "github.com/dop251/goja"} {
				if d.Path == name {
					m.Versions[strings.TrimPrefix(name, "github.com/")] = d.Version
				}
			}
		}
	}
	ask := func(name, program string, args ...string) {
		cmd := exec.Command(program, args...)
		cmd.Dir = root
		if out, err := cmd.Output(); err == nil {
			m.Versions[name] = strings.TrimPrefix(strings.TrimSpace(string(out)), name+" ")
		}
	}
	ask("flagbase", "git", "rev-parse", "--short", "HEAD")
	ask("node", "node", "--version")
	if path, err := workerdPath(root); err == nil {
		ask("workerd", path, "--version")
	}
	return m
}

func (m *machine) String() string {
	cpu := m.CPU
	if cpu == "" {
		cpu = "CPU"
	}
	return fmt.Sprintf("%s, %d x %s", m.System, m.CPUs, cpu)
}

// field gives the first value of a "name: value" line of a file, or "".
func field(path, name string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// workerdPath is the binary in npm's package for this system.
func workerdPath(root string) (string, error) {
	arch := map[string]string{"amd64": "64", "arm64": "arm64"}[runtime.GOARCH]
	path := filepath.Join(root, "bench", "node_modules", "@cloudflare", "workerd-"+runtime.GOOS+"-"+arch, "bin", "workerd")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("workerd is not installed: run `make bench`, or `npm ci` in bench")
	}
	return path, nil
}
