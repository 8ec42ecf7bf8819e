package function

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"flagbase.dev/internal/database"
)

// What is read from blocks is what was recorded.
func TestBlocksKeepRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ended []*record
		logs := map[string][]byte{}
		at := int64(1_700_000_000_000) << 12
		for range rapid.IntRange(1, 300).Draw(t, "invocations") {
			at += rapid.Int64Range(1, blockSpan/4).Draw(t, "later")
			var id [16]byte
			copy(id[8:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "random"))
			for i, b := range []byte{byte(at >> 52), byte(at >> 44), byte(at >> 36), byte(at >> 28), byte(at >> 20), byte(at >> 12), 0x70 | byte(at>>8)&15, byte(at)} {
				id[i] = b
			}
			if idTime(id) != at {
				t.Fatalf("the time of %x is %x, not %x", id, idTime(id), at)
			}
			r := &record{version: rapid.IntRange(1, 1<<30).Draw(t, "version"), log: rapid.SliceOf(rapid.Byte()).Draw(t, "log")}
			r.ID, r.FunctionID = invocationPrefix+hex.EncodeToString(id[:]), fmt.Sprint("fn_", rapid.IntRange(0, 2).Draw(t, "function"))
			r.StartedAt = database.FromMicros(rapid.Int64Range(0, 1<<52).Draw(t, "started"))
			r.completedNow(time.Duration(rapid.Int64Range(0, 1<<30).Draw(t, "took")) * time.Microsecond)
			r.compute = time.Duration(rapid.Int64Range(0, 1<<40).Draw(t, "compute"))
			r.Success, r.Output, r.Error = rapid.Bool().Draw(t, "success"), rapid.String().Draw(t, "output"), rapid.String().Draw(t, "error")
			r.PeakMemoryBytes, r.HostCalls, r.OutputSizeBytes = rapid.Int64Min(0).Draw(t, "peak"), rapid.IntRange(0, 99).Draw(t, "calls"), rapid.IntRange(0, 1<<40).Draw(t, "size")
			r.TraceID = rapid.SampledFrom([]string{"", "0af7651916cd43dd8448eb211c80319c", "no trace id of the usual form!!!"}).Draw(t, "trace")
			ended = append(ended, r)
			logs[r.ID] = r.log
		}
		got := map[string]Invocation{}
		for _, b := range blocksOf(rapid.Permutation(ended).Draw(t, "order")) {
			n, last := 0, ""
			err := b.unpack(func([]byte) bool { return true }, func(inv *Invocation, log []byte) {
				id, _ := idBytes(inv.ID)
				if inv.ID <= last || idTime(id) > b.newest || idTime(id) < b.newest-blockSpan || !bytes.Equal(log, logs[inv.ID]) {
					t.Fatalf("%s after %s, in a block up to %x; its log is %q", inv.ID, last, b.newest, log)
				}
				n, last = n+1, inv.ID
				got[inv.ID] = *inv
			})
			if err != nil || n != b.invocations || n > blockInvocations {
				t.Fatalf("%d of %d invocations, %v", n, b.invocations, err)
			}
		}
		if len(got) != len(ended) {
			t.Fatalf("%d of %d", len(got), len(ended))
		}
		for _, r := range ended {
			ms := r.compute.Milliseconds()
			if want := (Invocation{FunctionInvocation: r.FunctionInvocation, Version: r.version, ComputeMs: &ms}); !reflect.DeepEqual(got[r.ID], want) {
				t.Fatalf("recorded %+v, read %+v", want, got[r.ID])
			}
		}
	})
}

// A clock that was set back gives times a second time: no block is lost.
func TestBlocksOfTheSameTime(t *testing.T) {
	ctx := t.Context()
	sqlDB, err := database.OpenSQLite(ctx, ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sqlDB.Close() }()
	db, err := database.Use(ctx, sqlDB)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sqlDB.Exec(`INSERT INTO flagbase_functions (id, name, description, language, status, error, source, runtime, active_version, created_at, updated_at)
		VALUES ('fn_1', 'f', '', 'wasm', 'ready', '', '', 'wasm', 1, 0, 0)`); err != nil {
		t.Fatal(err)
	}
	r := &record{version: 1}
	r.ID, r.FunctionID, r.StartedAt = newID(invocationPrefix), "fn_1", time.Now()
	r.completedNow(time.Second)
	for range 3 {
		if err := (&batch{ended: []*record{r}}).store(ctx, db); err != nil {
			t.Fatal(err)
		}
	}
	var n int
	if err := sqlDB.QueryRow(`SELECT sum(invocations) FROM flagbase_invocation_blocks`).Scan(&n); err != nil || n != 3 {
		t.Errorf("%d of 3 invocations are kept, %v", n, err)
	}
}

// A block that is damaged is an error, or another block: nothing else.
func FuzzBlock(f *testing.F) {
	r := &record{version: 1, log: []byte("log")}
	r.ID, r.TraceID, r.Output, r.StartedAt = newID(invocationPrefix), "0af7651916cd43dd8448eb211c80319c", "output", time.Now()
	r.completedNow(time.Second)
	f.Add(blocksOf([]*record{r})[0].records)
	f.Add([]byte{blockFormat, 1})
	f.Fuzz(func(t *testing.T, records []byte) {
		b := block{records: records}
		_ = b.unpack(func([]byte) bool { return true }, func(*Invocation, []byte) {})
	})
}
