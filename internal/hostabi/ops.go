package hostabi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"flagbase.dev/storage"
	"flagbase.dev/table"
)

// kind is how an argument or answer of an operation crosses to WebAssembly.
type kind byte

const (
	argName  kind = iota // pointer and length of a name: a bucket, a key, an id
	argBytes             // pointer and length of data
	argFloat             // f64
	argInt               // i32
)

// What a host call takes is bounded before anything is made of it: a guest has 128 MiB
// to offer, and reading, quoting or decoding that takes seconds no deadline can cut
// short, and several times the memory on the host.
const (
	maxName  = 4 << 10  // longer than any name that a service allows
	maxTags  = 16 << 10 // JSON with white space
	maxPut   = 2 << 20  // a record of at most 1 MiB, with white space
	maxFetch = 10 << 20 // a body of at most 6 MiB in base64, and headers
)

type answer byte

const (
	answerLength answer = iota // length of the kept result, or failed
	answerOK                   // 1, or 0 when it failed
	answerFlag                 // "1" or "0" of the result, or failed
	answerNone
)

// failed is what a call that yields a length returns on failure.
const failed = 0xFFFFFFFF

// arguments of one operation, in ABI order of their kind. The bytes are views of
// guest memory: copy what outlives the call.
type arguments struct {
	bytes [][]byte
	float float64
	int   int32
}

func (a *arguments) text(i int) string { return string(a.bytes[i]) }

type operation struct {
	name   string
	params []kind
	max    int // the most bytes of data; 0 where the operation bounds it itself
	answer answer
	run    func(ctx context.Context, c *Call, a *arguments) ([]byte, error)
}

// operations is the ABI: the calls of host-abi version 1 that reach a service.
var operations = []operation{
	{"bucket_get", []kind{argName, argName}, 0, answerLength, bucketGet},
	{"bucket_put", []kind{argName, argName, argBytes}, MaxResultBytes, answerOK, bucketPut},
	{"bucket_delete", []kind{argName, argName}, 0, answerOK, bucketDelete},
	{"bucket_list", []kind{argName}, 0, answerLength, bucketList},
	{"flag_eval", []kind{argName}, 0, answerFlag, flagEval},
	{"flag_eval_variant", []kind{argName}, 0, answerLength, flagEvalVariant},
	{"fn_invoke", []kind{argName}, 0, answerLength, fnInvoke},
	{"fn_invoke_event", []kind{argName, argBytes}, MaxResultBytes, answerLength, fnInvoke},
	{"http_fetch", []kind{argBytes}, maxFetch, answerLength, httpFetch},
	{"metrics_publish", []kind{argName, argFloat, argBytes}, maxTags, answerOK, metricsPublish},
	{"table_get", []kind{argName, argName}, 0, answerLength, tableGet},
	{"table_put", []kind{argName, argBytes}, maxPut, answerLength, tablePut},
	{"table_delete", []kind{argName, argName}, 0, answerOK, tableDelete},
	{"table_query", []kind{argName, argBytes}, 0, answerLength, tableQuery},
	{"log_write", []kind{argInt, argBytes}, 0, answerNone, logWrite},
	{"secret_get", []kind{argName}, 0, answerLength, secretGet},
}

// check refuses arguments that are larger than any the operation can use.
func (op *operation) check(a *arguments) error {
	i := 0
	for _, p := range op.params {
		if p != argName && p != argBytes {
			continue
		}
		size, limit := len(a.bytes[i]), op.max
		if p == argName {
			limit = maxName
		}
		if i++; limit > 0 && size > limit {
			return badRequest("argument %d has %d bytes, the limit is %d", i, size, limit)
		}
	}
	return nil
}

func unavailable(what string) error {
	return badRequest("%s are not available to this function", what)
}

func (c *Call) bucket(name string) (storage.BucketAdapter, error) {
	if c.Services.Buckets == nil {
		return nil, unavailable("buckets")
	}
	if storage.Reserved(name) {
		return nil, badRequest("bucket %q is reserved", name)
	}
	return c.Services.Buckets, nil
}

func bucketGet(ctx context.Context, c *Call, a *arguments) ([]byte, error) {
	b, err := c.bucket(a.text(0))
	if err != nil {
		return nil, err
	}
	return storage.ReadAll(ctx, b, a.text(0), a.text(1), MaxResultBytes)
}

func bucketPut(ctx context.Context, c *Call, a *arguments) ([]byte, error) {
	b, err := c.bucket(a.text(0))
	if err != nil {
		return nil, err
	}
	return nil, storage.WriteAll(ctx, b, a.text(0), a.text(1), a.bytes[2])
}

func bucketDelete(ctx context.Context, c *Call, a *arguments) ([]byte, error) {
	b, err := c.bucket(a.text(0))
	if err != nil {
		return nil, err
	}
	return nil, b.Delete(ctx, a.text(0), a.text(1))
}

// bucketList gives every key of a bucket as a JSON array.
func bucketList(ctx context.Context, c *Call, a *arguments) ([]byte, error) {
	b, err := c.bucket(a.text(0))
	if err != nil {
		return nil, err
	}
	keys, size := []string{}, 0
	opts := storage.ListOptions{}
	for {
		page, err := b.List(ctx, a.text(0), &opts)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Objects {
			keys = append(keys, o.Key)
			size += len(o.Key) + 3 // as in JSON
		}
		if size > MaxResultBytes {
			return nil, errTooLarge
		}
		if page.Next == "" {
			return json.Marshal(keys)
		}
		opts.After = page.Next
	}
}

func flagEval(ctx context.Context, c *Call, a *arguments) ([]byte, error) {
	if c.Services.Flags == nil {
		return nil, unavailable("flags")
	}
	on, err := c.Services.Flags.EvaluateBool(a.text(0), c.flags(ctx))
	if err != nil {
		return nil, err
	}
	if on {
		return []byte("1"), nil
	}
	return []byte("0"), nil
}

func flagEvalVariant(ctx context.Context, c *Call, a *arguments) ([]byte, error) {
	if c.Services.Flags == nil {
		return nil, unavailable("flags")
	}
	v, err := c.Services.Flags.EvaluateVariant(a.text(0), c.flags(ctx))
	return []byte(v), err
}

func fnInvoke(ctx context.Context, c *Call, a *arguments) ([]byte, error) {
	if c.Services.Functions == nil {
		return nil, unavailable("other functions")
	}
	var event []byte
	if len(a.bytes) > 1 {
		event = append(event, a.bytes[1]...)
	}
	return c.Services.Functions.InvokeFunction(ctx, a.text(0), event)
}

const maxMetricName = 256

func metricsPublish(ctx context.Context, c *Call, a *arguments) ([]byte, error) {
	if c.Services.Metrics == nil {
		return nil, unavailable("metrics")
	}
	name := a.text(0)
	if name == "" || len(name) > maxMetricName || !utf8.ValidString(name) {
		return nil, badRequest("a metric's name is 1 to %d bytes of UTF-8", maxMetricName)
	}
	if math.IsNaN(a.float) || math.IsInf(a.float, 0) {
		return nil, badRequest("a metric's value is a finite number")
	}
	tags := json.RawMessage(strings.TrimSpace(a.text(1)))
	if len(tags) == 0 {
		tags = json.RawMessage("{}")
	}
	if len(tags) > 8<<10 || tags[0] != '{' || !json.Valid(tags) {
		return nil, badRequest("a metric's tags are a JSON object of at most 8 KiB")
	}
	return nil, c.Services.Metrics.Publish(ctx, Metric{Name: name, Value: a.float, Tags: tags, FunctionID: c.FunctionID, InvocationID: c.InvocationID})
}

func (c *Call) tables() (*table.Engine, error) {
	if c.Services.Tables == nil {
		return nil, unavailable("tables")
	}
	return c.Services.Tables, nil
}

func tableGet(ctx context.Context, c *Call, a *arguments) ([]byte, error) {
	t, err := c.tables()
	if err != nil {
		return nil, err
	}
	record, err := t.Get(ctx, a.text(0), a.text(1))
	if err != nil {
		return nil, err
	}
	return json.Marshal(record)
}

// tablePut inserts a record, or updates the one its "_id" names. A new record
// carries the flag context of the invocation.
func tablePut(ctx context.Context, c *Call, a *arguments) ([]byte, error) {
	t, err := c.tables()
	if err != nil {
		return nil, err
	}
	id, data, err := splitID(a.bytes[1])
	if err != nil {
		return nil, err
	}
	var record *table.Record
	if id != "" {
		record, err = t.Update(ctx, a.text(0), id, data)
	} else {
		record, err = t.Insert(ctx, a.text(0), data, &table.InsertOptions{FlagTag: c.FlagTag})
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(record)
}

// splitID takes "_id" out of a JSON object, and drops the other names that are a
// record's own, so that they are never mistaken for data.
func splitID(object []byte) (id string, data json.RawMessage, err error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(object, &fields); err != nil || fields == nil {
		return "", nil, badRequest("a record is a JSON object such as {\"name\":\"Ada\"}")
	}
	if raw, ok := fields["_id"]; ok {
		if err := json.Unmarshal(raw, &id); err != nil || id == "" {
			return "", nil, badRequest("\"_id\" is a string that is not empty; leave it out to insert")
		}
	}
	for _, own := range []string{"_id", "_created_at", "_updated_at", "_flag"} {
		delete(fields, own)
	}
	data, err = json.Marshal(fields)
	return id, data, err
}

func tableDelete(ctx context.Context, c *Call, a *arguments) ([]byte, error) {
	t, err := c.tables()
	if err != nil {
		return nil, err
	}
	return nil, t.Delete(ctx, a.text(0), a.text(1))
}

func tableQuery(ctx context.Context, c *Call, a *arguments) ([]byte, error) {
	t, err := c.tables()
	if err != nil {
		return nil, err
	}
	query := &table.Query{}
	if len(a.bytes[1]) > 0 {
		if query, err = table.DecodeQuery(a.bytes[1]); err != nil {
			return nil, err
		}
	}
	records, err := t.Query(ctx, a.text(0), query)
	if err != nil {
		return nil, err
	}
	if records == nil {
		records = []table.Record{}
	}
	return json.Marshal(records)
}

const maxLogLine = 64 << 10

// logLevels are the levels of log_write: 0 debug, 1 info, 2 warn, 3 error.
var logLevels = []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}

func logWrite(_ context.Context, c *Call, a *arguments) ([]byte, error) {
	if a.int < 0 || int(a.int) >= len(logLevels) {
		return nil, badRequest("log level %d is not 0 (debug), 1 (info), 2 (warn) or 3 (error)", a.int)
	}
	line := a.bytes[0]
	if len(line) > maxLogLine {
		line = line[:maxLogLine]
	}
	if c.Log != nil {
		c.Log(logLevels[a.int], strings.ToValidUTF8(string(line), "\uFFFD"))
	}
	return nil, nil
}

func secretGet(ctx context.Context, c *Call, a *arguments) ([]byte, error) {
	if c.Services.Secrets == nil {
		return nil, ErrNoSecret
	}
	value, err := c.Services.Secrets.Secret(ctx, c.FunctionID, a.text(0))
	if err != nil {
		return nil, err
	}
	if !slices.Contains(c.SecretValues, value) {
		c.SecretValues = append(c.SecretValues, value)
	}
	return []byte(value), nil
}

var errTooLarge = fmt.Errorf("%w: %w", errRequest, errors.New("the result is larger than 32 MiB; ask for less at a time"))
