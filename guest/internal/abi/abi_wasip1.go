//go:build wasip1

package abi

import (
	"os"
	"runtime"
	"strings"
	"unsafe"

	"flagbase.dev/guest/host"
)

// failed is what a call that yields bytes returns on failure.
const failed = ^uint32(0)

// fill reads what waits at the host: size says how much, read copies it.
func fill(size uint32, read func(unsafe.Pointer, uint32) uint32) []byte {
	if size == 0 || size == failed {
		return nil
	}
	buf := make([]byte, size)
	n := read(unsafe.Pointer(unsafe.SliceData(buf)), size)
	runtime.KeepAlive(buf)
	return buf[:min(n, size)]
}

// fillUnknown reads something that has no length call: it retries with a
// larger buffer for as long as the buffer came back full.
func fillUnknown(read func(unsafe.Pointer, uint32) uint32, first uint32) []byte {
	for size := first; ; size *= 4 {
		buf := fill(size, read)
		if uint32(len(buf)) < size || size >= 1<<26 {
			return buf
		}
	}
}

func pointer(b []byte) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b))
}

func failure(op, target string) error {
	message := string(fill(errorLen(), errorRead))
	return &host.Error{Op: op, Target: target, Message: strings.TrimPrefix(message, op+": ")}
}

// result reads what a call left. n already is its length, so result_len, which
// would be one host call more, is left to guests that did not keep it.
func result(n uint32, op, target string) ([]byte, error) {
	if n == failed {
		return nil, failure(op, target)
	}
	if n == 0 {
		return []byte{}, nil
	}
	return fill(n, resultRead), nil
}

func done(ok uint32, op, target string) error {
	if ok != 1 {
		return failure(op, target)
	}
	return nil
}

// Event returns the invocation's event.
func Event() ([]byte, error) { return fill(eventLen(), eventRead), nil }

// TraceID returns the invocation's trace id: 32 hexadecimal digits.
func TraceID() string { return string(fillUnknown(getTraceID, 64)) }

// Caller returns the JSON of the caller's identity, empty when there is none.
func Caller() []byte { return fillUnknown(getCallerContext, 1024) }

// BucketGet returns an object's bytes.
func BucketGet(bucket, key string) ([]byte, error) {
	return result(bucketGet(bucket, key), "bucket_get", bucket+"/"+key)
}

// BucketPut stores an object.
func BucketPut(bucket, key string, data []byte) error {
	p, n := pointer(data)
	ok := bucketPut(bucket, key, p, n)
	runtime.KeepAlive(data)
	return done(ok, "bucket_put", bucket+"/"+key)
}

// BucketDelete removes an object.
func BucketDelete(bucket, key string) error {
	return done(bucketDelete(bucket, key), "bucket_delete", bucket+"/"+key)
}

// BucketList returns a JSON array of keys.
func BucketList(bucket string) ([]byte, error) {
	return result(bucketList(bucket), "bucket_list", bucket)
}

// FlagBool evaluates a boolean flag.
func FlagBool(key string) (bool, error) {
	v := flagEval(key)
	if v == failed {
		return false, failure("flag_eval", key)
	}
	return v == 1, nil
}

// FlagVariant returns the name of the variant the caller gets.
func FlagVariant(key string) (string, error) {
	b, err := result(flagEvalVariant(key), "flag_eval_variant", key)
	return string(b), err
}

// Invoke runs another function without an event.
func Invoke(id string) ([]byte, error) { return result(fnInvoke(id), "fn_invoke", id) }

// InvokeEvent runs another function with an event.
func InvokeEvent(id string, event []byte) ([]byte, error) {
	p, n := pointer(event)
	r := fnInvokeEvent(id, p, n)
	runtime.KeepAlive(event)
	return result(r, "fn_invoke_event", id)
}

// Fetch sends the JSON of a request and returns the JSON of the response.
func Fetch(target string, request []byte) ([]byte, error) {
	p, n := pointer(request)
	r := httpFetch(p, n)
	runtime.KeepAlive(request)
	return result(r, "http_fetch", target)
}

// Metric publishes one value; tags is a JSON object.
func Metric(name string, value float64, tags []byte) error {
	p, n := pointer(tags)
	ok := metricsPublish(name, value, p, n)
	runtime.KeepAlive(tags)
	return done(ok, "metrics_publish", name)
}

// TableGet returns the JSON of a record.
func TableGet(table, id string) ([]byte, error) {
	return result(tableGet(table, id), "table_get", table+"/"+id)
}

// TablePut stores a JSON object and returns the JSON of the record.
func TablePut(table string, data []byte) ([]byte, error) {
	p, n := pointer(data)
	r := tablePut(table, p, n)
	runtime.KeepAlive(data)
	return result(r, "table_put", table)
}

// TableDelete removes a record.
func TableDelete(table, id string) error {
	return done(tableDelete(table, id), "table_delete", table+"/"+id)
}

// TableQuery returns a JSON array of records.
func TableQuery(table string, query []byte) ([]byte, error) {
	p, n := pointer(query)
	r := tableQuery(table, p, n)
	runtime.KeepAlive(query)
	return result(r, "table_query", table)
}

// Log writes one structured log line.
func Log(level uint32, line []byte) {
	p, n := pointer(line)
	logWrite(level, p, n)
	runtime.KeepAlive(line)
}

// Secret returns a secret's value.
func Secret(name string) (string, error) {
	b, err := result(secretGet(name), "secret_get", name)
	return string(b), err
}

// Exit ends the invocation as failed: the message is the last thing on stderr,
// which is what the caller of the function is shown.
func Exit(message string) {
	_, _ = os.Stderr.WriteString(message + "\n")
	os.Exit(1)
}

// Install exists so that code which uses guesttest also compiles here.
func Install(Host) (restore func()) {
	panic("guesttest stands in for flagbase natively: run go test without GOOS=wasip1")
}
