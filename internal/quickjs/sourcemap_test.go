package quickjs_test

import (
	"strings"
	"testing"

	"flagbase.dev/internal/quickjs"
)

// What package bundle makes of
//
//	interface Order {
//	  id: string
//	  // a comment
//	  lines?: { price: number }[]
//	}
//
//	function total(o: Order): number {
//
//	  return o.lines!
//	    .map((l) => l.price)
//	    .reduce((a, b) => a + b, 0)
//	}
//
//	export function handle(o: Order): number {
//	  return total(o)
//	}
const (
	orderScript = "// function:src/hello.ts\nfunction total(o) {\n  return o.lines.map((l) => l.price).reduce((a, b) => a + b, 0);\n}\nfunction handle(o) {\n  return total(o);\n}\nexport {\n  handle\n};\n"
	orderMap    = `{"version":3,"sources":["src/hello.ts"],"mappings":";AAMA,SAAS,MAAM,GAAkB;AAE/B,SAAO,EAAE,MACN,IAAI,CAAC,MAAM,EAAE,KAAK,EAClB,OAAO,CAAC,GAAG,MAAM,IAAI,GAAG,CAAC;AAC9B;AAEO,SAAS,OAAO,GAAkB;AACvC,SAAO,MAAM,CAAC;AAChB;","names":[]}`
)

func TestStacksNameTheLinesOfTheUsersFiles(t *testing.T) {
	p, err := tryCompile(t, orderScript, &quickjs.CompileOptions{SourceMap: []byte(orderMap)})
	if err != nil {
		t.Fatal(err)
	}
	line := map[string]int{`{}`: 9, `{"lines":[null]}`: 10}
	for event, frames := range map[string]string{
		`{}`:               "    at total (src/hello.ts:9:10)\n    at handle (src/hello.ts:15:16)",
		`{"lines":[null]}`: "    at <anonymous> (src/hello.ts:10:17)\n    at map (native)\n    at total (src/hello.ts:10:6)\n    at handle (src/hello.ts:15:16)",
	} {
		_, err := run(t, p, &quickjs.Call{Event: []byte(event)})
		e := scriptError(t, err)
		if e.File != "src/hello.ts" || e.Line != line[event] || !strings.HasSuffix(e.Stack, frames) {
			t.Errorf("%s: %v\n%s", event, e, e.Stack)
		}
	}
}
