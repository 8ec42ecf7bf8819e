package function

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"flagbase.dev/internal/database"
)

// block is a row of flagbase_invocation_blocks: invocations of one function that ended,
// by rising id. A row of its own for each invocation would cost ten times as much.
//
// The records begin with a byte that is the format's version. Then, for each invocation,
// come the length of the rest as a uvarint, the 16 bytes of the id, a byte of flags, and
// as uvarints or texts (a uvarint of the length, and the bytes) what appendRecord writes.
type block struct {
	functionID  string
	newest      int64 // idTime of the last
	invocations int
	records     []byte
}

const (
	blockFormat = 1
	// blockInvocations is how many invocations are in a block at most, and blockBytes about
	// how large it may become: reading one invocation reads its block, and blocks are
	// deleted as a whole.
	blockInvocations = 100
	blockBytes       = 32 << 10
	// recordBytes is about what a record has beside its texts.
	recordBytes = 72
	// blockSpan is how much older than the newest the others in a block may be, as an
	// idTime: one second. Whoever looks for an id looks no further than that.
	blockSpan = 1000 << 12
)

// Flags of a record.
const (
	recordSuccess = 1 << iota
	recordTraced  // the trace id is 16 bytes
)

var errBlock = errors.New("a block of the invocation history is damaged")

// packed is a record and the bytes of its id.
type packed struct {
	*record
	id [16]byte
}

func (p *packed) time() int64 { return idTime(p.id) }

// idTime is the time in an id that newID made: milliseconds and twelve bits of their
// parts.
func idTime(id [16]byte) int64 {
	n := binary.BigEndian.Uint64(id[:8])
	return int64(n>>16<<12 | n&0xfff)
}

// idBytes is the UUID in an invocation's id.
func idBytes(id string) (b [16]byte, ok bool) {
	digits, ok := strings.CutPrefix(id, invocationPrefix)
	if !ok || len(digits) != 2*len(b) {
		return b, false
	}
	_, err := hex.Decode(b[:], []byte(digits))
	return b, err == nil
}

// blocksOf packs records that ended.
func blocksOf(ended []*record) []block {
	byFunction := make(map[string][]packed, 8)
	for _, r := range ended {
		p := packed{record: r}
		p.id, _ = idBytes(r.ID)
		byFunction[r.FunctionID] = append(byFunction[r.FunctionID], p)
	}
	var blocks []block
	for _, list := range byFunction {
		slices.SortFunc(list, func(a, b packed) int { return cmp.Compare(a.time(), b.time()) })
		for len(list) > 0 {
			n, b := fillBlock(list)
			blocks = append(blocks, b)
			list = list[n:]
		}
	}
	return blocks
}

// fillBlock packs the first n of list.
func fillBlock(list []packed) (n int, b block) {
	size := 0
	for i := range list[:min(len(list), blockInvocations)] {
		size += recordBytes + len(list[i].Output) + len(list[i].Error) + len(list[i].log)
	}
	records := append(make([]byte, 0, min(size, 2*blockBytes)), blockFormat)
	scratch := make([]byte, 0, 256)
	for n < min(len(list), blockInvocations) && len(records) < blockBytes && list[n].time()-list[0].time() <= blockSpan {
		scratch = appendRecord(scratch[:0], &list[n])
		records = binary.AppendUvarint(records, uint64(len(scratch)))
		records = append(records, scratch...)
		n++
	}
	last := &list[n-1]
	return n, block{functionID: last.FunctionID, newest: last.time(), invocations: n, records: records}
}

func appendRecord(to []byte, r *packed) []byte {
	var flags byte
	if r.Success {
		flags |= recordSuccess
	}
	var trace [16]byte
	traced := len(r.TraceID) == 2*len(trace)
	if traced {
		_, err := hex.Decode(trace[:], []byte(r.TraceID))
		if traced = err == nil; traced {
			flags |= recordTraced
		}
	}
	to = append(to, r.id[:]...)
	to = append(to, flags)
	if traced {
		to = append(to, trace[:]...)
	} else {
		to = appendText(to, r.TraceID)
	}
	started := database.Micros(r.StartedAt)
	for _, v := range [...]int64{
		int64(r.version), started, database.Micros(*r.CompletedAt) - started, *r.ExecutionMs, r.compute.Microseconds(),
		r.PeakMemoryBytes, int64(r.HostCalls), int64(r.OutputSizeBytes),
	} {
		to = binary.AppendUvarint(to, uint64(v))
	}
	to = appendText(to, r.Output)
	to = appendText(to, r.Error)
	return appendText(to, r.log)
}

func appendText[T string | []byte](to []byte, text T) []byte {
	to = binary.AppendUvarint(to, uint64(len(text)))
	return append(to, text...)
}

// unpack gives the invocations whose ids are chosen, and their logs, by rising id. The
// logs are parts of the block.
func (b *block) unpack(chosen func(id []byte) bool, give func(inv *Invocation, log []byte)) error {
	if len(b.records) == 0 || b.records[0] != blockFormat {
		return errBlock
	}
	rest := blockReader{bytes: b.records[1:]}
	for len(rest.bytes) > 0 {
		r := blockReader{bytes: rest.text()}
		id := r.take(16)
		if rest.damaged || r.damaged {
			return errBlock
		}
		if !chosen(id) {
			continue
		}
		inv := Invocation{FunctionInvocation: FunctionInvocation{ID: invocationPrefix + hex.EncodeToString(id), FunctionID: b.functionID}}
		log := r.invocation(&inv)
		if r.damaged {
			return errBlock
		}
		give(&inv, log)
	}
	return nil
}

// blockReader reads what the append functions wrote.
type blockReader struct {
	bytes   []byte
	damaged bool
}

// take gives the next n bytes, n being small; zeros when there are not as many.
func (r *blockReader) take(n int) []byte {
	if n > len(r.bytes) {
		r.damaged, r.bytes = true, nil
		return make([]byte, n)
	}
	b := r.bytes[:n]
	r.bytes = r.bytes[n:]
	return b
}

func (r *blockReader) number() int64 {
	v, n := binary.Uvarint(r.bytes)
	if n <= 0 {
		r.damaged, r.bytes = true, nil
		return 0
	}
	r.bytes = r.bytes[n:]
	return int64(v)
}

func (r *blockReader) text() []byte {
	n := r.number()
	if n < 0 || n > int64(len(r.bytes)) {
		r.damaged, r.bytes = true, nil
		return nil
	}
	b := r.bytes[:n]
	r.bytes = r.bytes[n:]
	return b
}

// invocation reads what follows the id.
func (r *blockReader) invocation(inv *Invocation) (log []byte) {
	flags := r.take(1)[0]
	inv.Success = flags&recordSuccess != 0
	if flags&recordTraced != 0 {
		inv.TraceID = hex.EncodeToString(r.take(16))
	} else {
		inv.TraceID = string(r.text())
	}
	inv.Version = int(r.number())
	started := r.number()
	completed := database.FromMicros(started + r.number())
	inv.StartedAt, inv.CompletedAt = database.FromMicros(started), &completed
	took, compute := r.number(), time.Duration(r.number())*time.Microsecond
	computeMs := compute.Milliseconds()
	inv.ExecutionMs, inv.ComputeMs = &took, &computeMs
	inv.PeakMemoryBytes, inv.HostCalls, inv.OutputSizeBytes = r.number(), int(r.number()), int(r.number())
	inv.Output, inv.Error = string(r.text()), string(r.text())
	return r.text()
}
