package function

import (
	"context"
	"errors"
	"fmt"

	"flagbase.dev/internal/bundle"
	"flagbase.dev/internal/quickjs"
)

// scriptProgram is a JavaScript or TypeScript version.
type scriptProgram struct {
	program     *quickjs.Program
	sourceBytes int64
}

// size: the snapshot of QuickJS with its prelude, and what the script made of itself.
func (p *scriptProgram) size() int64 { return 1<<20 + 8*p.sourceBytes }

// scriptFiles are the names that errors and stacks give the source of a function.
var scriptFiles = map[string]string{
	languageJavaScript: "function.js",
	languageTypeScript: "function.ts",
}

// compileScript strips types, compiles and evaluates source once.
func (e *Engine) compileScript(ctx context.Context, op, language, source string) (program, error) {
	file := scriptFiles[language]
	script, err := bundle.Transform(ctx, file, source, language)
	if err != nil {
		return nil, invalidArtifact(op, err)
	}
	p, err := e.quickjs.Compile(ctx, file, script.Code, &quickjs.CompileOptions{MemoryPages: e.memoryPages(), SourceMap: script.SourceMap})
	if errors.Is(err, quickjs.ErrNotEmbedded) {
		return nil, &Error{Code: ErrNotReady.Code, Message: op + ": " + err.Error(), Cause: err}
	}
	if err != nil {
		return nil, invalidArtifact(op, err)
	}
	return &scriptProgram{p, int64(len(source))}, nil
}

func (p *scriptProgram) run(ctx context.Context, in *input) (*result, error) {
	call := &quickjs.Call{
		Event: in.call.Event,
		Context: quickjs.Context{
			FunctionID: in.call.FunctionID, FunctionName: in.function, Version: in.version,
			InvocationID: in.call.InvocationID, TraceID: in.call.TraceID, Caller: in.call.Caller,
		},
		Host:        in.call,
		Log:         in.log,
		MemoryPages: in.memoryPages,
		Compute:     in.compute,
		MaxOutput:   in.stdout.left(),
	}
	if in.http != nil {
		call.Request = &quickjs.Request{Method: in.http.Method, URL: in.http.URL, Header: in.http.Header, Body: in.http.Body}
	}
	if in.streaming {
		call.Stdout = in.stdout
	}
	ran, err := p.program.Run(ctx, call)
	var thrown *quickjs.Error
	if errors.As(err, &thrown) {
		// Where a runtime prints what nobody caught.
		fmt.Fprintln(in.log, thrown.Stack)
	}
	res := &result{}
	if ran == nil {
		return res, err
	}
	res.peak, res.compute = ran.PeakMemory, ran.Compute
	if errors.Is(err, quickjs.ErrOutputExceeded) {
		return res, errOutputExceeded
	}
	if err != nil {
		return res, err
	}
	res.returned = ran.Output
	if r := ran.Response; r != nil {
		res.http = &HTTPResponse{Status: r.Status, Header: r.Header, Body: ran.Output}
		if in.streaming {
			res.http.Body = nil // it was written as it came
		}
	}
	return res, nil
}
