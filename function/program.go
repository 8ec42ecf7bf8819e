package function

import (
	"context"

	"flagbase.dev/internal/hostabi"
)

// program is a version made ready: compiled once, run any number of times at once.
type program interface {
	// run does one invocation. The result is never nil, also beside an error.
	run(ctx context.Context, in *input) (*result, error)
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
}

// result is what one invocation left, besides what it wrote.
type result struct {
	returned []byte        // comes after what was written
	http     *HTTPResponse // of a web handler
	peak     uint32        // bytes of linear memory
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
