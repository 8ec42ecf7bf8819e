//go:build !wasip1

package abi

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"

	"flagbase.dev/guest/host"
)

type box struct{ host Host }

var current atomic.Pointer[box]

// Install makes h the host and returns a function that brings back the former.
func Install(h Host) (restore func()) {
	former := current.Swap(&box{h})
	return func() { current.Store(former) }
}

func call(op, target string, args ...[]byte) ([]byte, error) {
	b := current.Load()
	if b == nil {
		return nil, &host.Error{Op: op, Target: target, Cause: host.ErrUnavailable}
	}
	out, err := b.host.HostCall(op, args...)
	if err != nil {
		// The message is repeated, as the cause of a test's own making may say
		// "not found", which is how Error recognises it.
		return nil, &host.Error{Op: op, Target: target, Message: err.Error(), Cause: err}
	}
	return out, nil
}

// Event returns the invocation's event; without a host, what stdin holds.
func Event() ([]byte, error) {
	b, err := call("event_read", "")
	if errors.Is(err, host.ErrUnavailable) {
		return readStdin()
	}
	return b, err
}

// TraceID returns the invocation's trace id, empty without a host.
func TraceID() string {
	b, _ := call("get_trace_id", "")
	return string(b)
}

// Caller returns the JSON of the caller's identity, empty when there is none.
func Caller() []byte {
	b, _ := call("get_caller_context", "")
	return b
}

// BucketGet returns an object's bytes.
func BucketGet(bucket, key string) ([]byte, error) {
	return call("bucket_get", bucket+"/"+key, []byte(bucket), []byte(key))
}

// BucketPut stores an object.
func BucketPut(bucket, key string, data []byte) error {
	_, err := call("bucket_put", bucket+"/"+key, []byte(bucket), []byte(key), data)
	return err
}

// BucketDelete removes an object.
func BucketDelete(bucket, key string) error {
	_, err := call("bucket_delete", bucket+"/"+key, []byte(bucket), []byte(key))
	return err
}

// BucketList returns a JSON array of keys.
func BucketList(bucket string) ([]byte, error) {
	return call("bucket_list", bucket, []byte(bucket))
}

// FlagBool evaluates a boolean flag.
func FlagBool(key string) (bool, error) {
	b, err := call("flag_eval", key, []byte(key))
	return string(b) == "1", err
}

// FlagVariant returns the name of the variant the caller gets.
func FlagVariant(key string) (string, error) {
	b, err := call("flag_eval_variant", key, []byte(key))
	return string(b), err
}

// Invoke runs another function without an event.
func Invoke(id string) ([]byte, error) { return call("fn_invoke", id, []byte(id)) }

// InvokeEvent runs another function with an event.
func InvokeEvent(id string, event []byte) ([]byte, error) {
	return call("fn_invoke_event", id, []byte(id), event)
}

// Fetch sends the JSON of a request and returns the JSON of the response.
func Fetch(target string, request []byte) ([]byte, error) {
	return call("http_fetch", target, request)
}

// Metric publishes one value; tags is a JSON object.
func Metric(name string, value float64, tags []byte) error {
	_, err := call("metrics_publish", name, []byte(name), strconv.AppendFloat(nil, value, 'g', -1, 64), tags)
	return err
}

// TableGet returns the JSON of a record.
func TableGet(table, id string) ([]byte, error) {
	return call("table_get", table+"/"+id, []byte(table), []byte(id))
}

// TablePut stores a JSON object and returns the JSON of the record.
func TablePut(table string, data []byte) ([]byte, error) {
	return call("table_put", table, []byte(table), data)
}

// TableDelete removes a record.
func TableDelete(table, id string) error {
	_, err := call("table_delete", table+"/"+id, []byte(table), []byte(id))
	return err
}

// TableQuery returns a JSON array of records.
func TableQuery(table string, query []byte) ([]byte, error) {
	return call("table_query", table, []byte(table), query)
}

// Log writes one structured log line; without a host it goes to stderr.
func Log(level uint32, line []byte) {
	_, err := call("log_write", "", strconv.AppendUint(nil, uint64(level), 10), line)
	if errors.Is(err, host.ErrUnavailable) {
		fmt.Fprintf(os.Stderr, "%s\n", line)
	}
}

// Secret returns a secret's value.
func Secret(name string) (string, error) {
	b, err := call("secret_get", name, []byte(name))
	return string(b), err
}

// Exit ends the program as failed, with the message on stderr.
func Exit(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(1)
}
