package quickjs

// QuickJS keeps small blocks of one size in an arena of 4 KiB, and when a script has been
// evaluated the free ones of a size are scattered over many arenas, or there are none. An
// invocation would take its blocks here and there, each from a page that has to be
// restored afterwards; and where no arena has any left it would make one, which takes
// longer than all the rest it does with memory. So before the snapshot each size gets free
// blocks that lie together and are the next to be taken.
const (
	smallestBlock, largestBlock = 16, 512 // with the header
	blockHeader                 = 8
	arenaBytes                  = 4072

	// togetherBlocks are enough for a small handler; they take no more than togetherBytes.
	togetherBlocks = 16
	togetherBytes  = 2 << 10
)

// gather does that. The free blocks that lie before those found are lost to the script:
// some hundred bytes of each size, two arenas at most.
func (v *vm) gather() {
	runtime := uint64(v.call("JS_GetRuntime", uint64(v.call("qjs_get_context_ptr"))))
	for size := uint32(smallestBlock); size <= largestBlock; size += blockStep(size) {
		v.gatherSize(runtime, size)
	}
}

// blockStep is how much larger than blocks of this size the next are.
func blockStep(size uint32) uint32 {
	switch {
	case size < 128:
		return 8
	case size < 256:
		return 16
	}
	return 32
}

func (v *vm) gatherSize(runtime uint64, size uint32) {
	want := min(togetherBlocks, togetherBytes/int(size))
	most := 2*arenaBytes/int(size) + want
	var blocks []uint32
	together := 0 // how many of the last lie one behind another
	for together < want && len(blocks) < most {
		block := v.call("js_malloc_rt", runtime, uint64(size-blockHeader))
		if block == 0 {
			break // the script's memory is full, or v failed
		}
		if n := len(blocks); n > 0 && block == blocks[n-1]+size {
			together++
		} else {
			together = 1
		}
		blocks = append(blocks, block)
	}
	if together < want {
		together = len(blocks) // they are scattered: nothing is gained
	}
	// The last one freed is the first one taken. One stays, because an arena without any goes.
	for i := len(blocks) - 1; i > len(blocks)-together; i-- {
		v.call("js_free_rt", runtime, uint64(blocks[i]))
	}
}
