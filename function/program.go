package function

import (
	"context"
	"time"

	"flagbase.dev/internal/hostabi"
)

// program is a version made ready: compiled once, run any number of times at once.
type program interface {
	// run does one invocation. The result is never nil, also beside an error.
	run(ctx context.Context, in *input) (*result, error)
	// size is about what it holds of memory, in bytes, while nothing runs.
	size() int64
}

// input is what one invocation gets.
type input struct {
	call        *hostabi.Call
	function    string // name, for messages and argv[0]
	version     int
	http        *HTTPRequest // set when the function is used as a web handler
	stdout      *output
	log         *logBuffer
	streaming   bool
	memoryPages uint32
	compute     time.Duration // limit; 0 is none
}

// result is what one invocation left, besides what it wrote.
type result struct {
	returned []byte        // comes after what was written
	http     *HTTPResponse // of a web handler
	peak     uint32        // bytes of linear memory
	compute  time.Duration // in the guest's code
}

// HTTPRequest is a request to a function as a web handler.
type HTTPRequest struct {
	Method string
	URL    string // absolute
	Header map[string][]string
	Body   []byte
}

// HTTPResponse is what a web handler answered.
type HTTPResponse struct {
	Status int
	Header map[string][]string
	Body   []byte
}
