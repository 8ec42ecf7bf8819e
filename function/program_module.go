package function

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"flagbase.dev/internal/sandbox"
)

// entry says which exports of a module may be its entry.
type entry int

const (
	entryAny    entry = iota // _start, else handle
	entryHandle              // handle alone
)

// moduleProgram is a WebAssembly version.
type moduleProgram struct {
	module     *sandbox.Module
	wasmBytes  int64
	command    bool // has _start and is used so
	initialize bool // has _initialize
	handle     handleKind
	handleHTTP handleKind

	// initialized is the state after _initialize, from which invocations start; nil
	// when there is no _initialize, or its state cannot be kept.
	initialized *sandbox.Snapshot
}

// handleKind is the type of an exported handle or handle_http.
type handleKind int

const (
	handleNone   handleKind = iota
	handleVoid              // ()->()
	handlePair              // ()->(i32 i32)
	handlePacked            // ()->i64
)

func newModuleProgram(m *sandbox.Module, wasmBytes int, e entry) (*moduleProgram, error) {
	p := &moduleProgram{module: m, wasmBytes: int64(wasmBytes)}
	if s, ok := m.Export("_start"); ok && e == entryAny {
		if len(s.Params)+len(s.Results) != 0 {
			return nil, errors.New("the module exports _start with parameters or results; WASI's _start has none")
		}
		p.command = true
	}
	_, p.initialize = m.Export("_initialize")
	var err error
	if p.handle, err = handleExport(m, "handle"); err != nil {
		return nil, err
	}
	if p.handleHTTP, err = handleExport(m, "handle_http"); err != nil {
		return nil, err
	}
	if !p.command && p.handle == handleNone && p.handleHTTP == handleNone {
		if e == entryHandle {
			return nil, errors.New("the module exports no function handle")
		}
		return nil, errors.New("the module exports neither _start (a WASI command) nor handle (a reactor or plain module)")
	}
	if (p.handle > handleVoid || p.handleHTTP > handleVoid || m.HasImport("flagbase")) && !m.ExportsMemory() {
		return nil, errors.New(`the module does not export its memory as "memory", so nothing can be read from it`)
	}
	return p, nil
}

func handleExport(m *sandbox.Module, name string) (handleKind, error) {
	s, ok := m.Export(name)
	if !ok {
		return handleNone, nil
	}
	if len(s.Params) == 0 {
		switch {
		case len(s.Results) == 0:
			return handleVoid, nil
		case len(s.Results) == 2 && s.Results[0] == sandbox.I32 && s.Results[1] == sandbox.I32:
			return handlePair, nil
		case len(s.Results) == 1 && s.Results[0] == sandbox.I64:
			return handlePacked, nil
		}
	}
	return handleNone, fmt.Errorf("the module exports %s with a type that is none of ()->(), ()->(i32 i32) (address, length) and ()->i64 (address in the upper half, length in the lower)", name)
}

// size: machine code takes about four times the bytes of the module, its image and
// what describes it about as much again.
func (p *moduleProgram) size() int64 { return 64<<10 + 6*p.wasmBytes }

func (p *moduleProgram) run(ctx context.Context, in *input) (*result, error) {
	res := &result{}
	web := in.http != nil && p.handleHTTP != handleNone && !p.command
	if in.http == nil && p.handleHTTP != handleNone && p.handle == handleNone && !p.command {
		// A web handler invoked with a plain event gets it as a POST.
		web = true
		in.http = &HTTPRequest{Method: http.MethodPost, URL: "http://function/", Body: in.call.Event}
	}
	if web {
		event, err := json.Marshal(envelope{Method: in.http.Method, URL: in.http.URL, Headers: in.http.Header, Body: in.http.Body})
		if err != nil {
			return res, err
		}
		in.call.Event = event
	}
	acquire := p.module.Acquire
	if p.initialized != nil {
		acquire = p.initialized.Acquire
	}
	inst, err := acquire(ctx, &sandbox.InstanceOptions{
		Stdin:       bytes.NewReader(in.call.Event),
		Stdout:      in.stdout,
		Stderr:      in.log,
		Host:        in.call,
		MemoryPages: in.memoryPages,
		Compute:     in.compute,
		Args:        []string{in.function},
		Command:     p.command,
	})
	if err != nil {
		return res, err
	}
	defer func() {
		res.peak, res.compute = inst.PeakMemory(), inst.Compute()
		inst.Release()
	}()
	if p.command {
		_, err := inst.Call("_start")
		return res, err
	}
	if p.initialize && p.initialized == nil {
		if _, err := inst.Call("_initialize"); err != nil {
			return res, err
		}
	}
	name, kind := "handle", p.handle
	if web {
		name, kind = "handle_http", p.handleHTTP
	}
	results, err := inst.Call(name)
	if err != nil {
		return res, err
	}
	returned, err := handleResult(inst, name, kind, results, in.stdout.left())
	if err != nil {
		return res, err
	}
	if !web {
		res.returned = returned
		return res, nil
	}
	res.http, err = decodeEnvelope(append(in.stdout.takeBuffered(), returned...))
	return res, err
}

// handleResult copies what handle returned out of memory. limit is the most bytes
// it may be.
func handleResult(inst *sandbox.Instance, name string, kind handleKind, results []uint64, limit int64) ([]byte, error) {
	var ptr, size uint32
	switch {
	case len(results) == 0: // handleVoid, or the guest exited with code 0
		return nil, nil
	case kind == handlePair:
		ptr, size = uint32(results[0]), uint32(results[1])
	case kind == handlePacked:
		ptr, size = uint32(results[0]>>32), uint32(results[0])
	}
	if int64(size) > limit {
		return nil, errOutputExceeded
	}
	view, ok := inst.Read(ptr, size)
	if !ok {
		return nil, &sandbox.TrapError{Message: fmt.Sprintf("%s returned %d bytes at %d, which are not all in memory", name, size, ptr)}
	}
	return bytes.Clone(view), nil
}

// envelope is a request or response of a web handler in WebAssembly, as JSON. The
// body is base64.
type envelope struct {
	Method  string              `json:"method,omitempty"`
	URL     string              `json:"url,omitempty"`
	Status  int                 `json:"status,omitempty"`
	Headers map[string][]string `json:"headers"`
	Body    []byte              `json:"body"`
}

func decodeEnvelope(b []byte) (*HTTPResponse, error) {
	var e envelope
	if err := json.Unmarshal(b, &e); err != nil {
		return nil, &sandbox.TrapError{Message: "handle_http answered with something that is not a response in JSON: " + err.Error()}
	}
	if e.Status == 0 {
		e.Status = http.StatusOK
	}
	if e.Status < 100 || e.Status > 999 {
		return nil, &sandbox.TrapError{Message: fmt.Sprintf("handle_http answered with status %d", e.Status)}
	}
	return &HTTPResponse{Status: e.Status, Header: e.Headers, Body: e.Body}, nil
}
