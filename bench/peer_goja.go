package main

import "github.com/dop251/goja"

const gojaHello = `function handle(event) { return JSON.stringify({hello: event.name, length: event.name.length}) }`

// gojaFresh compiles once and gives each call a runtime of its own.
func gojaFresh() *subject {
	program := goja.MustCompile("hello.js", gojaHello, true)
	return &subject{Name: "goja, a new runtime per call", Isolates: yes, run: func() error {
		vm := goja.New()
		if _, err := vm.RunProgram(program); err != nil {
			return err
		}
		return callGoja(vm)
	}}
}

// gojaReused keeps one runtime; what a call leaves behind, the next sees.
func gojaReused() (*subject, error) {
	vm := goja.New()
	if _, err := vm.RunString(gojaHello); err != nil {
		return nil, err
	}
	return &subject{Name: "goja, one runtime for all calls", Isolates: no, run: func() error { return callGoja(vm) }}, nil
}

func callGoja(vm *goja.Runtime) error {
	parse, _ := goja.AssertFunction(vm.Get("JSON").ToObject(vm).Get("parse"))
	event, err := parse(goja.Undefined(), vm.ToValue(helloEvent))
	if err != nil {
		return err
	}
	handle, _ := goja.AssertFunction(vm.Get("handle"))
	out, err := handle(goja.Undefined(), event)
	if err != nil {
		return err
	}
	return wantJS.check([]byte(out.String()), nil)
}
