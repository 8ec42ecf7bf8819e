package wasmbin

// Section ids of the binary format.
const (
	sectionCustom = iota
	sectionType
	sectionImport
	sectionFunction
	sectionTable
	sectionMemory
	sectionGlobal
	sectionExport
	sectionStart
	sectionElement
	sectionCode
	sectionData
	sectionDataCount
	sectionTag
)

var sectionNames = [...]string{
	"custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code", "data", "data count", "tag",
}

// sectionRank is the order in which the sections must stand: the data count comes before the code, the tags before the globals.
var sectionRank = [...]int{
	sectionType: 1, sectionImport: 2, sectionFunction: 3, sectionTable: 4, sectionMemory: 5, sectionTag: 6, sectionGlobal: 7,
	sectionExport: 8, sectionStart: 9, sectionElement: 10, sectionDataCount: 11, sectionCode: 12, sectionData: 13,
}

// scanner is one run of Scan.
type scanner struct {
	reader
	m             *Module
	l             Limits
	custom        int
	dataCount     int
	typeValues    int
	exports       map[string]struct{}
	defined       int // functions the function section declares
	nameSection   bool
	tableElements int64 // minimum sizes of all tables together
	names         int   // entries of the name section
	frames        []frame
	heapTypes     int64  // one more than the highest type that a reference names
	heapTypeAt    int    // where it is named
	locals        int64  // parameters and locals of all functions
	kept          int64  // bytes that the compiler keeps for the function
	work          int64  // estimated nanoseconds of compilation
	effort        effort // of the function, so far
	marks         []site // of the function
	ways          []way
	prices        prices
	calls         []uint32 // the module's own functions that the function calls
	unbounded     bool     // it has loops, or calls what is not known
}

// Scan reads the structure of a WebAssembly module and refuses what a compiler must not see. A nil limits means the defaults.
// Every refusal is an [*Error]. Its time is linear in len(b) and its memory bounded by len(b) and the limits.
//
// The result refers to b, which must not change while the result is used.
func Scan(b []byte, limits *Limits) (*Module, error) {
	l := limits.withDefaults()
	if err := recognise(b); err != nil {
		return nil, err
	}
	if len(b) > l.MaxBytes {
		return nil, &Error{Message: sprintf("the module has %d bytes, more than the %d allowed", len(b), l.MaxBytes), Kind: ErrLimit}
	}
	s := &scanner{reader: reader{b: b, pos: 8, end: len(b)}, l: l, m: &Module{bytes: b, limits: l}}
	s.module()
	if s.err != nil {
		return nil, s.err
	}
	return s.m, nil
}

func (s *scanner) module() {
	rank := 0
	for s.pos < len(s.b) && s.err == nil {
		at := s.pos
		id := s.byte()
		if int(id) >= len(sectionNames) {
			s.fail(at, ErrMalformed, "there is no section with the number %d", id)
			return
		}
		name := sectionNames[id]
		size := s.u32()
		if s.err != nil {
			return
		}
		if int64(size) > int64(s.left()) {
			s.fail(at, ErrMalformed, "the %s section claims %d bytes but the module has only %d left", name, size, s.left())
			return
		}
		if id != sectionCustom {
			if sectionRank[id] == rank {
				s.fail(at, ErrMalformed, "the module has two %s sections", name)
				return
			}
			if sectionRank[id] < rank {
				s.fail(at, ErrMalformed, "the %s section is out of order", name)
				return
			}
			rank = sectionRank[id]
		}
		start, end := s.pos, s.pos+int(size)
		s.m.sections = append(s.m.sections, section{id: id, at: at, start: start, end: end})
		s.end = end
		s.section(id)
		if s.err == nil && s.pos != end {
			s.fail(s.pos, ErrMalformed, "the %s section is %d bytes longer than its content", name, end-s.pos)
		}
		if s.err != nil {
			return
		}
		s.pos, s.end = end, len(s.b)
	}
	if s.err != nil {
		return
	}
	if s.defined != len(s.m.bodies) {
		s.fail(0, ErrMalformed, "the module declares %d functions but has %d function bodies", s.defined, len(s.m.bodies))
	}
	if s.heapTypes > int64(len(s.m.Types)) {
		s.fail(s.heapTypeAt, ErrMalformed, "a reference names type %d, which does not exist", s.heapTypes-1)
	}
	if s.m.HasDataCount && s.dataCount != s.m.DataSegments {
		s.fail(0, ErrMalformed, "the module announces %d data segments but has %d", s.dataCount, s.m.DataSegments)
	}
}

func (s *scanner) section(id byte) {
	switch id {
	case sectionCustom:
		s.customSection()
	case sectionType:
		s.typeSection()
	case sectionImport:
		s.importSection()
	case sectionFunction:
		s.functionSection()
	case sectionTable:
		s.tableSection()
	case sectionMemory:
		s.memorySection()
	case sectionTag:
		s.tagSection()
	case sectionGlobal:
		s.globalSection()
	case sectionExport:
		s.exportSection()
	case sectionStart:
		s.startSection()
	case sectionElement:
		s.elementSection()
	case sectionDataCount:
		s.dataCountSection()
	case sectionCode:
		s.codeSection()
	case sectionData:
		s.dataSection()
	}
}
