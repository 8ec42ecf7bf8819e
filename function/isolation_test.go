package function_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"flagbase.dev/feature"
	"flagbase.dev/function"
	"flagbase.dev/internal/testguest"
	"flagbase.dev/storage"
	"flagbase.dev/table"
)

// mirrorWAT answers with all that belongs to its call: event|caller|trace|variant of
// the flag "who"|object named by the event|record named by the event.
const mirrorWAT = `(module
	(import "flagbase" "event_read" (func $event_read (param i32 i32) (result i32)))
	(import "flagbase" "get_caller_context" (func $caller (param i32 i32) (result i32)))
	(import "flagbase" "get_trace_id" (func $trace (param i32 i32) (result i32)))
	(import "flagbase" "flag_eval_variant" (func $variant (param i32 i32) (result i32)))
	(import "flagbase" "bucket_get" (func $bucket_get (param i32 i32 i32 i32) (result i32)))
	(import "flagbase" "table_get" (func $table_get (param i32 i32 i32 i32) (result i32)))
	(import "flagbase" "result_read" (func $result_read (param i32 i32) (result i32)))
	(memory (export "memory") 2)
	(data (i32.const 2048) "who") (data (i32.const 2056) "things")
	(global $p (mut i32) (i32.const 4096))
	(func $advance (param i32) (global.set $p (i32.add (global.get $p) (local.get 0))))
	(func $bar (i32.store8 (global.get $p) (i32.const 124)) (call $advance (i32.const 1)))
	(func $result (param i32) (call $advance (call $result_read (global.get $p) (local.get 0))) (call $bar))
	(func (export "handle") (result i32 i32) (local $n i32)
		(local.set $n (call $event_read (i32.const 0) (i32.const 1024)))
		(call $advance (call $event_read (global.get $p) (i32.const 1024))) (call $bar)
		(call $advance (call $caller (global.get $p) (i32.const 1024))) (call $bar)
		(call $advance (call $trace (global.get $p) (i32.const 64))) (call $bar)
		(call $result (call $variant (i32.const 2048) (i32.const 3)))
		(call $result (call $bucket_get (i32.const 2056) (i32.const 6) (i32.const 0) (local.get $n)))
		(call $result (call $table_get (i32.const 2056) (i32.const 6) (i32.const 0) (local.get $n)))
		(i32.const 4096) (i32.sub (global.get $p) (i32.const 4096))))`

const mirrorJS = `export async function handle(event, context) {
	const b = flagbase.bucket.get("things", event), t = await flagbase.table.get("things", event)
	return [event, JSON.stringify(context.caller), context.traceId, flagbase.flag.variant("who"), await b, JSON.stringify(t), ""].join("|")
}`

const relayWAT = `(module
	(import "flagbase" "event_read" (func $event_read (param i32 i32) (result i32)))
	(import "flagbase" "fn_invoke_event" (func $invoke (param i32 i32 i32 i32) (result i32)))
	(import "flagbase" "result_read" (func $result_read (param i32 i32) (result i32)))
	(memory (export "memory") 1)
	(data (i32.const 2048) "mirror")
	(func (export "handle") (result i32 i32)
		(i32.const 4096)
		(call $result_read (i32.const 4096) (call $invoke (i32.const 2048) (i32.const 6) (i32.const 0) (call $event_read (i32.const 0) (i32.const 1024))))))`

const relayJS = `export const handle = event => flagbase.fn.invoke("mirror-js", event)`

// Two functions that run at once never see each other's caller, event, trace or
// result buffers.
func TestIsolation(t *testing.T) {
	rounds := 10_000
	if testing.Short() {
		rounds = 1_000 // make check runs it under the race detector
	}
	const workers = 64
	w, ctx := newWorld(t, nil), t.Context()
	_, err := w.Upload(ctx, "mirror", "", testguest.WAT(t, mirrorWAT))
	must(t, err)
	_, err = w.Upload(ctx, "relay", "", testguest.WAT(t, relayWAT))
	must(t, err)
	_, err = w.Create(ctx, "mirror-js", "", "javascript", mirrorJS)
	must(t, err)
	_, err = w.Create(ctx, "relay-js", "", "javascript", relayJS)
	must(t, err)

	var rules []feature.Rule
	variants := map[string]json.RawMessage{"nobody": json.RawMessage(`false`)}
	for i := range workers {
		name := fmt.Sprintf("thing-%02d", i)
		must(t, storage.WriteAll(ctx, w.bucket, "things", name, []byte("object of "+name)))
		_, err = w.tables.Insert(ctx, "things", json.RawMessage(fmt.Sprintf(`{"of":%q}`, name)), &table.InsertOptions{ID: name})
		must(t, err)
		user := fmt.Sprintf("user-%02d", i)
		variants[user] = json.RawMessage(`true`)
		rules = append(rules, feature.Rule{Name: user, Variant: user, Conditions: []feature.Condition{
			{Attribute: "user_id", Operator: "eq", Value: json.RawMessage(fmt.Sprintf("%q", user))}}})
	}
	_, err = w.flags.Put(ctx, &feature.Flag{Key: "who", Enabled: true, Variants: variants, DefaultVariant: "nobody", OffVariant: "nobody", Rules: rules})
	must(t, err)

	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() {
			event := fmt.Sprintf("thing-%02d", i)
			caller := function.CallerContext{UserID: fmt.Sprintf("user-%02d", i), TenantID: fmt.Sprint(i), Groups: []string{event}}
			callerJSON, _ := json.Marshal(caller)
			ctx := function.WithCallerContext(ctx, caller)
			for round := range rounds / workers {
				name := []string{"mirror", "mirror-js", "relay", "relay-js"}[(i+round)%4]
				res, err := w.Do(ctx, name, &function.InvokeRequest{Event: []byte(event), Timeout: 60 * second})
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				got := strings.Split(string(res.Output), "|")
				if len(got) != 7 || got[0] != event || got[1] != string(callerJSON) || got[2] != res.TraceID ||
					got[3] != caller.UserID || got[4] != "object of "+event || !strings.Contains(got[5], `"_id":"`+event+`"`) {
					t.Errorf("worker %d, %s: got %q", i, name, res.Output)
					return
				}
			}
		})
	}
	group.Wait()
}

// What one invocation leaves in memory is not seen by the next.
func TestFreshState(t *testing.T) {
	w, ctx := newWorld(t, nil), t.Context()
	_, err := w.Upload(ctx, "counter", "", testguest.WAT(t, `(module (memory (export "memory") 1)
		(global $n (mut i32) (i32.const 48))
		(func (export "handle") (result i32 i32)
			(i32.store8 (i32.const 0) (i32.add (global.get $n) (i32.load8_u (i32.const 1))))
			(global.set $n (i32.add (global.get $n) (i32.const 1))) (i32.store8 (i32.const 1) (i32.const 1))
			(i32.const 0) (i32.const 1)))`))
	must(t, err)
	_, err = w.Create(ctx, "counter-js", "", "javascript", `let n = 0; export const handle = () => { globalThis.m = (globalThis.m ?? 0) + 1; return n++ + m - 1 }`)
	must(t, err)
	_, err = w.Create(ctx, "random", "", "javascript", `export const handle = () => Math.random() + " " + crypto.randomUUID() + " " + Date.now()`)
	must(t, err)
	seen := map[string]bool{}
	for range 20 {
		for _, name := range []string{"counter", "counter-js"} {
			out, err := w.Invoke(ctx, name, 5*second)
			must(t, err)
			if !bytes.Equal(out, []byte("0")) {
				t.Errorf("%s gave %q, not a fresh 0", name, out)
			}
		}
		out, err := w.Invoke(ctx, "random", 5*second)
		must(t, err)
		for _, part := range strings.Fields(string(out))[:2] {
			if seen[part] {
				t.Errorf("random value %s came twice", part)
			}
			seen[part] = true
		}
	}
}
