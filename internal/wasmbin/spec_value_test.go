package wasmbin_test

import (
	"fmt"
	"strconv"
	"strings"
)

// size is how many words of a call's stack the value takes.
func (v *specVal) size() int {
	if v.Type == "v128" {
		return 2
	}
	return 1
}

// words is the value as wazero passes it.
func (v *specVal) words() []uint64 {
	if v.Type != "v128" {
		return []uint64{v.word(v.Type, v.Value)}
	}
	words := make([]uint64, 2)
	bits := laneBits(v.LaneType)
	for i, lane := range v.Value.([]any) {
		words[i*bits/64] |= v.word(v.LaneType, lane) << (i * bits % 64)
	}
	return words
}

// word is a number, or a lane's bits; NaN patterns give 0.
func (v *specVal) word(kind string, value any) uint64 {
	text, ok := value.(string)
	if !ok || text == "null" || strings.HasPrefix(text, "nan:") {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		signed, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			panic(err)
		}
		n = uint64(signed)
	}
	switch kind {
	case "externref":
		return n + 1 // 0 is wazero's null
	case "i64", "f64":
		return n
	}
	return n & (1<<laneBits(kind) - 1)
}

func laneBits(kind string) int {
	switch kind {
	case "i8":
		return 8
	case "i16":
		return 16
	case "i32", "f32":
		return 32
	}
	return 64
}

// match says how what a call gave differs from the value.
func (v *specVal) match(got []uint64) error {
	if v.Type == "v128" {
		bits := laneBits(v.LaneType)
		for i, lane := range v.Value.([]any) {
			word := got[i*bits/64] >> (i * bits % 64)
			if bits < 64 {
				word &= 1<<bits - 1
			}
			if !v.same(v.LaneType, lane, word) {
				return fmt.Errorf("lane %d is %#x, expected %v", i, word, lane)
			}
		}
		return nil
	}
	if v.Value == nil && strings.HasSuffix(v.Type, "ref") {
		return nil // any reference
	}
	word := got[0]
	if laneBits(v.Type) == 32 {
		word &= 1<<32 - 1
	}
	if !v.same(v.Type, v.Value, word) {
		return fmt.Errorf("gave %#x, expected %s %v", got[0], v.Type, v.Value)
	}
	return nil
}

func (v *specVal) same(kind string, want any, got uint64) bool {
	// Without their signs: a canonical NaN has only the first bit of its payload set, an arithmetic one at least that.
	const quiet32, quiet64 = 0x7fc00000, 0x7ff8000000000000
	switch {
	case want == "nan:canonical" && kind == "f32":
		return got&0x7fffffff == quiet32
	case want == "nan:canonical":
		return got&^(1<<63) == quiet64
	case want == "nan:arithmetic" && kind == "f32":
		return got&quiet32 == quiet32
	case want == "nan:arithmetic":
		return got&quiet64 == quiet64
	}
	return v.word(kind, want) == got
}
