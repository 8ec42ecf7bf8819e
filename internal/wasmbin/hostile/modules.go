package hostile

import "strings"

// Case is one thing that must be refused, in little time and memory.
type Case struct {
	// Name says in a few words what it is.
	Name string
	// Bytes is the upload.
	Bytes []byte
	// Message is a part of the sentence with which internal/wasmbin refuses it under its default limits.
	Message string
}

// Modules gives the collection, built afresh: some 6 MB.
func Modules() []Case {
	return append(append(append(foreign(), claims()...), broken()...), oversized()...)
}

// foreign are uploads that are no core module at all.
func foreign() []Case {
	return []Case{
		{"empty file", nil, "the file is empty"},
		{"half a header", cat("\x00asm"), "cut off"},
		{"component", cat("\x00asm\x0d\x00\x01\x00"), "component"},
		{"version 2", cat("\x00asm\x02\x00\x00\x00"), "binary version 2"},
		{"text format", cat("(module (func (export \"f\")))"), "wat2wasm"},
		{"text format after a comment", cat(";; a module\n(module)"), "wat2wasm"},
		{"gzip", cat("\x1f\x8b\x08\x00\x00\x00\x00\x00"), "gzip"},
		{"zip", cat("PK\x03\x04\x14\x00"), "zip archive"},
		{"ELF program", cat("\x7fELF\x02\x01\x01\x00"), "ELF"},
		{"Windows program", cat("MZ\x90\x00\x03\x00"), "Windows"},
		{"macOS program", cat("\xcf\xfa\xed\xfe\x07\x00\x00\x01"), "macOS"},
		{"JavaScript", cat("export default { async fetch(request) { return new Response('hi') } }"), "JavaScript"},
		{"Go source", cat("package main\n\nfunc main() {}\n"), "Go source"},
		{"HTML", cat("<!doctype html><title>404</title>"), "HTML"},
		{"library archive", cat("!<arch>\n"), "library archive"},
		{"noise", cat("\x93\x12\x00\xfe\x08\x41"), "does not begin with the bytes"},
	}
}

// claims are counts and sizes with nothing behind them.
func claims() []Case {
	return []Case{
		// The 15 and 29 bytes that end a process that runs stock wazero.
		{"15 bytes: 2^32-1 imports", cat(header, 2, 5, huge), "claims 4294967295 imports"},
		{"29 bytes: data count 2^32-1", module(noType, section(sFunction, 0), section(sDataCount, huge), cat(sCustom, 3, name("ab"))), "announces 4294967295 data segments"},
		{"2^32-1 types", module(section(sType, huge)), "claims 4294967295 types"},
		{"2^32-1 types in a group", module(section(sType, 1, 0x4e, huge)), "types in a group"},
		{"2^32-1 parameters", module(section(sType, 1, 0x60, huge)), "claims 4294967295 parameters"},
		{"2^32-1 results", module(section(sType, 1, 0x60, 0, huge)), "claims 4294967295 results"},
		{"2^32-1 functions", module(noType, section(sFunction, huge)), "claims 4294967295 functions"},
		{"2^32-1 tables", module(section(sTable, huge)), "claims 4294967295 tables"},
		{"2^32-1 memories", module(section(sMemory, huge)), "claims 4294967295 memories"},
		{"2^32-1 tags", module(section(sTag, huge)), "claims 4294967295 tags"},
		{"2^32-1 globals", module(section(sGlobal, huge)), "claims 4294967295 globals"},
		{"2^32-1 exports", module(section(sExport, huge)), "claims 4294967295 exports"},
		{"2^32-1 element segments", module(section(sElement, huge)), "claims 4294967295 element segments"},
		{"2^32-1 elements", module(section(sElement, "\x01\x01\x00", huge)), "claims 4294967295 elements"},
		{"2^32-1 element expressions", module(section(sElement, "\x01\x05\x70", huge)), "claims 4294967295 elements"},
		{"2^32-1 function bodies", module(section(sCode, huge)), "claims 4294967295 function bodies"},
		{"body of 2^32-1 bytes", module(noType, section(sFunction, 1, 0), section(sCode, 1, huge)), "bytes in a function body"},
		{"2^32-1 groups of locals", function(cat(huge)), "groups of locals"},
		{"2^32-1 branch targets", function(none, "\x41\x00\x0e", huge), "branch targets"},
		{"2^32-1 catch clauses", function(none, "\x1f\x40", huge), "catch clauses"},
		{"2^32-1 data segments", module(section(sData, huge)), "claims 4294967295 data segments"},
		{"data segment of 2^32-1 bytes", module(section(sData, 1, 1, huge)), "bytes in a data segment"},
		{"import name of 2^32-1 bytes", module(section(sImport, 1, huge, "abcdefgh")), "name of an import"},
		{"custom section name of 2^32-1 bytes", module(section(sCustom, huge)), "name of a custom section"},
		{"2^32-1 function names", module(section(sCustom, name("name"), 1, 5, huge)), "function names"},
		{"2^32-1 functions with local names", module(section(sCustom, name("name"), 2, 5, huge)), "local names"},
		{"2^32-1 local names", module(section(sCustom, name("name"), 2, 7, 1, 0, huge)), "local names"},
		{"name section part of 2^32-1 bytes", module(section(sCustom, name("name"), 1, huge)), "part of the name section"},
		{"section of 2^32-1 bytes", cat(header, sType, huge), "claims 4294967295 bytes"},
	}
}

// broken are modules that break a rule of the format.
func broken() []Case {
	memory := section(sMemory, "\x01\x00\x01")
	return []Case{
		{"count that never ends", module(section(sType, repeat(0x80, 12))), "does not fit in 32 bits"},
		{"count of 33 bits", module(section(sType, "\xff\xff\xff\xff\x1f")), "does not fit in 32 bits"},
		{"constant of 33 bits", function(none, "\x41\xff\xff\xff\xff\x3f\x1a"), "does not fit in 32 bits"},
		{"constant of 65 bits", function(none, 0x42, repeat(0xff, 9), "\x3f\x1a"), "does not fit in 64 bits"},
		{"unknown section", module(section(14, 0)), "no section with the number 14"},
		{"two type sections", module(noType, noType), "two type sections"},
		{"sections out of order", module(section(sFunction, 0), noType), "out of order"},
		{"section longer than its content", module(section(sType, 0, 0)), "longer than its content"},
		{"section cut off", cat(header, sType, 4, 1), "has only 1 left"},
		{"more bodies than functions", module(noType, section(sCode, "\x01\x02\x00\x0b")), "declares 0 functions but has 1"},
		{"more functions than bodies", module(noType, section(sFunction, 1, 0)), "declares 1 functions but has 0"},
		{"function of a missing type", module(section(sFunction, 1, 0)), "has type 0, but there are only 0"},
		{"data count that lies", module(section(sDataCount, 1)), "announces 1 data segments but has 0"},
		{"import of an unknown kind", module(section(sImport, "\x01\x00\x00\x07\x00")), "no known kind"},
		{"name that is no UTF-8", module(section(sImport, "\x01\x02\xc3\x28\x00\x00\x00")), "not valid UTF-8"},
		{"export of a missing function", module(section(sExport, "\x01\x01a\x00\x00")), "function 0, which does not exist"},
		{"two exports of a name", module(noType, section(sFunction, 1, 0), section(sExport, "\x02\x01a\x00\x00\x01a\x00\x00"), bodies(none)), "two things under the name"},
		{"start function that is missing", module(section(sStart, 9)), "start function is function 9"},
		{"garbage-collected type", module(section(sType, "\x01\x5f\x00")), "garbage-collected"},
		{"garbage-collected instruction", function(none, "\xfb\x00\x00"), "garbage-collected"},
		{"64-bit memory", module(section(sMemory, "\x01\x04\x01")), "64-bit memory"},
		{"two memories", module(section(sMemory, "\x02\x00\x01\x00\x01")), "several memories"},
		{"memory that ends before it begins", module(section(sMemory, "\x01\x01\x02\x01")), "below its minimum"},
		{"memory of 65537 pages", module(section(sMemory, "\x01\x00\x81\x80\x04")), "more than 65536 pages"},
		{"shared memory without a maximum", module(section(sMemory, "\x01\x02\x01")), "needs a maximum"},
		{"element segment of an unknown form", module(section(sElement, "\x01\x08\x00\x00")), "no valid form"},
		{"element that does not exist", module(section(sTable, "\x01\x70\x00\x01"), section(sElement, "\x01\x00\x41\x00\x0b\x01\x05")), "names function 5"},
		{"data segment of an unknown form", module(memory, section(sData, "\x01\x03\x00")), "no valid form"},
		{"initial value that is not constant", module(section(sGlobal, "\x01\x7f\x00\x10\x00\x0b")), "is not constant"},
		{"initial value without end", module(section(sGlobal, "\x01\x7f\x00\x41\x00")), "cut off"},
		{"empty initial value", module(section(sGlobal, "\x01\x7f\x00\x0b\x00")), "is empty"},
		{"function without end", module(noType, section(sFunction, 1, 0), section(sCode, "\x01\x02\x00\x01")), "no end"},
		{"function that goes on after its end", function(none, 0x0b), "goes on after its end"},
		{"opcode without operand", function(none, 0x41), "has no end"},
		{"prefix at the very end", module(noType, section(sFunction, 1, 0), section(sCode, "\x01\x02\x00\xfd")), "cut off"},
		{"unknown opcode", function(none, 0x27), "unknown instruction (0x27)"},
		{"unknown bulk opcode", function(none, "\xfc\x20"), "unknown instruction (0xfc 32)"},
		{"vector opcode with two readings", function(none, "\xfd\x8c\x00", repeat(0x0b, 18)), "unknown instruction (0xfd 0x8c 0x00)"},
		{"relaxed vector opcode", function(none, "\xfd\x80\x02"), "relaxed vector"},
		{"unknown atomic opcode", function(none, "\xfe\x7f"), "unknown instruction (0xfe 0x7f)"},
		{"old exception handling", function(none, "\x06\x40\x0b"), "translate-to-exnref"},
		{"second memory in an access", module(noType, section(sFunction, 1, 0), memory, bodies(none, "\x41\x00\x28\x42\x01\x00\x1a")), "second memory"},
		{"alignment of 2^40", module(noType, section(sFunction, 1, 0), memory, bodies(none, "\x41\x00\x28\x28\x00\x1a")), "alignment"},
		{"branch out of the function", function(none, "\x0c\x05"), "leaves 5 blocks"},
		{"else outside of an if", function(none, "\x02\x40\x05\x0b"), "else outside"},
		{"block of a missing type", function(none, "\x02\x09\x0b"), "block has type 9"},
		{"call of a missing function", function(none, "\x10\x07"), "calls function 7"},
		// What a rewriter appends, code must not come to name.
		{"code that sets a global past the last", function(none, "\x41\x00\x24\x00"), "names global 0"},
		{"code that sets a local past the last", function(none, "\x41\x00\x21\x00"), "names local 0"},
		{"code that refers to a function past the last", function(none, "\xd2\x01\x1a"), "names function 1"},
		{"code that uses a table that is missing", function(none, "\x41\x00\x25\x00\x1a"), "names table 0"},
		{"code that uses a memory that is missing", function(none, "\x41\x00\x28\x00\x00\x1a"), "uses memory, but has none"},
		{"data for a memory that is missing", module(section(sData, "\x01\x00\x41\x00\x0b\x00")), "uses memory, but has none"},
		{"global that begins as one past the last", module(section(sGlobal, "\x01\x7f\x00\x23\x01\x0b")), "global 1, which does not exist"},
		{"global that refers to a function past the last", module(section(sGlobal, "\x01\x70\x00\xd2\x00\x0b")), "function 0, which does not exist"},
		{"reference to a type past the last", module(section(sTable, "\x01\x63\x00\x00\x01")), "type 0, which does not exist"},
		{"two name sections", module(section(sCustom, name("name")), section(sCustom, name("name"))), "two name sections"},
		{"name section of a wrong size", module(section(sCustom, name("name"), "\x00\x03\x01a\x00")), "wrong size"},
	}
}

// oversized are well-formed modules that cost a compiler or an instance out of proportion.
func oversized() []Case {
	i32s := func(n int) []byte { return cat(1, leb(n), 0x7f) }
	wide := func(n int) []byte {
		return section(sType, 2, "\x60\x00\x00", 0x60, vec(n, 0x7f), vec(n, 0x7f))
	}
	var pop strings.Builder
	for i := range 1000 {
		pop.Write(cat(0x20, leb(i), 0x1a)) // local.get, drop
	}
	body := func(types []byte, locals []byte, code ...any) []byte {
		return module(types, section(sFunction, 1, 0), section(sTable, "\x01\x70\x00\x01"), section(sMemory, "\x01\x00\x01"), bodies(locals, code...))
	}
	return []Case{
		{"100 million locals", function(cat(1, leb(100_000_000), 0x7f)), "100000000 parameters and locals"},
		{"2^32-1 locals in two groups", function(cat(2, huge, 0x7f, huge, 0x7e)), "parameters and locals"},
		{"1,000 functions of 50,000 locals", module(noType, section(sFunction, vec(1000, 0)), section(sCode, vec(1000, sized(i32s(50_000), 0x0b)))), "locals together"},
		{"30,000 returns in ifs", function(none, repeat("\x41\x00\x04\x40\x0f\x0b", 30_000)), "too complex"},
		{"15,000 tail calls in ifs", function(none, repeat("\x41\x00\x04\x40\x12\x00\x0b", 15_000)), "too complex"},
		{"1 MB of indirect calls", body(noType, none, repeat("\x41\x00\x11\x00\x00", 205_000)), "memory to compile"},
		{"1 MB of loads in a row", body(noType, none, "\x41\x00", repeat("\x28\x02\x00", 340_000), 0x1a), "memory to compile"},
		{"1 MB of divisions in a row", body(noType, none, "\x41\x00", repeat("\x41\x03\x6d", 340_000), 0x1a), "memory to compile"},
		{"10,000 nested blocks", function(none, repeat("\x02\x40", 10_000), repeat(0x0b, 10_000)), "nested deeper"},
		{"body of 2 MB", function(none, repeat(0x01, 2<<20)), "body of"},
		{"1 MB of br_table", function(none, "\x02\x40\x41\x00\x0e", vec(1_000_000, 0), 0, 0x0b), "br_table"},
		{"65,000 branch targets in many tables", function(none, repeat(cat("\x02\x40\x41\x00\x0e", vec(65, 0), 0, 0x0b), 1_000)), "too complex"},
		{"300,000 blocks in a row", function(none, repeat("\x02\x40\x0b", 300_000)), "too complex"},
		{"20,000 ifs in a row", function(none, repeat("\x41\x00\x04\x40\x0b", 20_000)), "too complex"},
		{"10,000 loops in a row", function(none, repeat("\x03\x40\x0b", 10_000)), "too complex"},
		{"20,000 branches to one place", function(none, "\x02\x40", repeat("\x41\x00\x0d\x00", 20_000), 0x0b), "too complex"},
		{"20,000 try blocks", function(none, repeat("\x02\x40\x1f\x40\x01\x02\x00\x0b\x0b", 20_000)), "too complex"},
		{"1,000 locals over 1,000 loops", function(i32s(1000), repeat("\x03\x40\x41\x00\x0d\x00\x0b", 1000), pop.String()), "too complex"},
		{"1,000 locals over 1,500 ifs", function(i32s(1000), repeat("\x20\x00\x04\x40\x20\x01\x21\x02\x0b", 1500), pop.String()), "too complex"},
		{"50,000 locals over 100 ifs", function(i32s(50_000), repeat("\x20\x00\x04\x40\x0b", 100)), "too complex"},
		{"10,000 fills of memory", body(noType, none, repeat("\x41\x00\x41\x00\x41\x00\xfc\x0b\x00", 10_000)), "too complex"},
		{"20,000 growths of memory", body(noType, none, repeat("\x41\x00\x40\x00\x1a", 20_000)), "too complex"},
		{"20,000 copies of a table", body(noType, none, repeat("\x41\x00\x41\x00\x41\x00\xfc\x0e\x00\x00", 20_000)), "too complex"},
		{"1,000 calls that carry 2,000 values", module(wide(1000), section(sFunction, "\x02\x00\x01"), section(sCode, 2, sized(none, repeat("\x41\x00", 1000), repeat("\x10\x01", 1000), repeat(0x1a, 1000), 0x0b), sized("\x00\x00\x0b"))), "too complex"},
		{"1,000 loops that carry 1,000 values", body(wide(1000), none, repeat("\x41\x00", 1000), repeat("\x03\x01\x0b", 1000), repeat(0x1a, 1000)), "too complex"},
		{"5,000 branches that carry 1,000 values", body(wide(1000), none, repeat("\x41\x00", 1000), "\x02\x01", repeat("\x41\x00\x0d\x00", 5000), 0x0b, repeat(0x1a, 1000)), "too complex"},
		{"function type with 2,000 parameters", module(section(sType, 1, 0x60, vec(2000, 0x7f), 0)), "2000 parameters"},
		{"101 function types with 1,000 parameters", module(section(sType, vec(101, cat(0x60, vec(1000, 0x7f), 0)))), "parameters and results together"},
		{"20,000 types", module(section(sType, vec(20_000, "\x60\x00\x00"))), "20000 types"},
		{"2,000 imports", module(noType, section(sImport, vec(2000, "\x00\x00\x00\x00"))), "2000 imports"},
		{"200,000 functions", module(noType, section(sFunction, vec(200_000, 0))), "200000 functions"},
		{"20,000 globals", module(section(sGlobal, vec(20_000, "\x7f\x00\x41\x00\x0b"))), "20000 globals"},
		{"2,000 tags", module(noType, section(sTag, vec(2000, "\x00\x00"))), "2000 tags"},
		{"300,000 data segments", module(section(sMemory, "\x01\x00\x01"), section(sData, vec(300_000, "\x00\x41\x00\x0b\x00"))), "300000 data segments"},
		{"300,000 elements", module(noType, section(sFunction, 1, 0), section(sTable, "\x01\x70\x00\x01"), section(sElement, "\x01\x01\x00", vec(300_000, 0)), bodies(none)), "300000 elements"},
		{"table of 2^32-1 elements", module(section(sTable, "\x01\x70\x00", huge)), "4294967295 elements"},
		{"two tables of 60,000 elements", module(section(sTable, 2, "\x70\x00", leb(60_000), "\x70\x00", leb(60_000))), "120000 elements"},
		{"200 tables", module(section(sTable, vec(200, "\x70\x00\x00"))), "200 tables"},
		{"export name of 20,000 bytes", module(section(sExport, 1, vec(20_000, "a"), 0, 0)), "name of an export"},
		{"2,000 custom sections", module(repeat(section(sCustom, name("x")), 2000)), "custom sections"},
	}
}

// sized is a body with its size before it.
func sized(parts ...any) []byte {
	b := cat(parts...)
	return cat(leb(len(b)), b)
}

// TableGrow is the module that grows a table without end: some 50 bytes that take all memory of a runtime which grants it. It
// is well-formed and so no case of [Modules]: it is harmless once its table has a maximum. It exports "run", () -> (), which
// traps when the table cannot grow any more.
func TableGrow() []byte {
	return module(noType, section(sFunction, 1, 0), section(sTable, "\x01\x6f\x00\x00"), section(sExport, 1, name("run"), 0, 0),
		bodies(none, "\x03\x40\xd0\x6f\x41\x80\xad\xe2\x04\xfc\x0f\x00\x41\x7f\x46\x04\x40\x00\x0b\x0c\x00\x0b"))
}
