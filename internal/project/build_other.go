package project

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func (b *builder) wat(ctx context.Context, output string) error {
	tool, ok := lookNode(b.p.Dir, "wat2wasm")
	if !ok {
		return fmt.Errorf("wat2wasm is %w: npm install wabt, or the package wabt of your system", ErrNoToolchain)
	}
	b.progress("building %s with wat2wasm", b.p.Name)
	_, err := b.run(ctx, "wat2wasm", nil, tool, b.p.EntryPath(), "-o", output)
	return err
}

func (b *builder) assemblyScript(ctx context.Context, output string) error {
	tool, ok := lookNode(b.p.Dir, "asc")
	if !ok {
		return fmt.Errorf("asc is %w: npm install assemblyscript", ErrNoToolchain)
	}
	b.progress("building %s with asc", b.p.Name)
	// asc imports env.abort unless told otherwise, and flagbase has no env module.
	// The stub runtime never frees: memory is fresh for every invocation.
	args := []string{filepath.FromSlash(b.p.Entry), "--outFile", output, "--runtime", "stub", "--use", "abort="}
	if b.opts.Debug {
		args = append(args, "--debug")
	} else {
		args = append(args, "--optimize")
	}
	_, err := b.run(ctx, "asc", nil, tool, args...)
	return err
}

func (b *builder) c(ctx context.Context, output string) error {
	clang, args, err := findClang()
	if err != nil {
		return err
	}
	b.progress("building %s with clang", b.p.Name)
	files, err := filepath.Glob(filepath.Join(filepath.Dir(b.p.EntryPath()), "*.c"))
	if err != nil {
		return err
	}
	if b.opts.Debug {
		args = append(args, "-g", "-O1")
	} else {
		args = append(args, "-O2", "-Wl,--strip-all")
	}
	args = append(append(args, "-Wall", "-o", output), files...)
	_, err = b.run(ctx, "clang", nil, clang, args...)
	return err
}

// findClang returns a clang that can link for wasm32-wasi: the WASI SDK's, when
// WASI_SDK_PATH names one, or the system's with wasm-ld and wasi-libc.
func findClang() (clang string, args []string, err error) {
	if sdk := os.Getenv("WASI_SDK_PATH"); sdk != "" {
		clang, err := exec.LookPath(filepath.Join(sdk, "bin", "clang"))
		if err != nil {
			return "", nil, fmt.Errorf("clang is %w in WASI_SDK_PATH (%s)", ErrNoToolchain, sdk)
		}
		return clang, []string{"--target=wasm32-wasi", "--sysroot=" + filepath.Join(sdk, "share", "wasi-sysroot")}, nil
	}
	var missing []string
	clang, lookErr := exec.LookPath("clang")
	if lookErr != nil {
		missing = append(missing, "clang")
	}
	if _, err := exec.LookPath("wasm-ld"); err != nil {
		missing = append(missing, "wasm-ld")
	}
	if clang != "" {
		// The answer is the bare name when clang knows no such file.
		for _, file := range []string{"libc.a", "crt1.o"} {
			out, err := exec.Command(clang, "--target=wasm32-wasi", "-print-file-name="+file).Output()
			if err != nil || !filepath.IsAbs(strings.TrimSpace(string(out))) {
				if _, err := os.Stat("/usr/lib/wasm32-wasi/" + file); err != nil {
					missing = append(missing, "wasi-libc")
					break
				}
			}
		}
	}
	if len(missing) > 0 {
		return "", nil, fmt.Errorf("%s: %w: on Debian apt install clang lld wasi-libc libclang-rt-14-dev-wasm32, elsewhere the WASI SDK with WASI_SDK_PATH set", strings.Join(missing, ", "), ErrNoToolchain)
	}
	return clang, []string{"--target=wasm32-wasi"}, nil
}
