//go:build wasip1

package abi

import "unsafe"

// The host module, as docs/host-abi.md lists it. A string parameter is passed
// as pointer and length. The linker keeps only the imports that a program
// reaches, so a function asks the host for nothing that it does not use.
// result_len is not among them: every call already returns that length.

//go:wasmimport flagbase result_read
func resultRead(out unsafe.Pointer, n uint32) uint32

//go:wasmimport flagbase error_len
func errorLen() uint32

//go:wasmimport flagbase error_read
func errorRead(out unsafe.Pointer, n uint32) uint32

//go:wasmimport flagbase event_len
func eventLen() uint32

//go:wasmimport flagbase event_read
func eventRead(out unsafe.Pointer, n uint32) uint32

//go:wasmimport flagbase get_trace_id
func getTraceID(out unsafe.Pointer, n uint32) uint32

//go:wasmimport flagbase get_caller_context
func getCallerContext(out unsafe.Pointer, n uint32) uint32

//go:wasmimport flagbase bucket_get
func bucketGet(bucket, key string) uint32

//go:wasmimport flagbase bucket_put
func bucketPut(bucket, key string, data unsafe.Pointer, n uint32) uint32

//go:wasmimport flagbase bucket_delete
func bucketDelete(bucket, key string) uint32

//go:wasmimport flagbase bucket_list
func bucketList(bucket string) uint32

//go:wasmimport flagbase flag_eval
func flagEval(key string) uint32

//go:wasmimport flagbase flag_eval_variant
func flagEvalVariant(key string) uint32

//go:wasmimport flagbase fn_invoke
func fnInvoke(id string) uint32

//go:wasmimport flagbase fn_invoke_event
func fnInvokeEvent(id string, event unsafe.Pointer, n uint32) uint32

//go:wasmimport flagbase http_fetch
func httpFetch(request unsafe.Pointer, n uint32) uint32

//go:wasmimport flagbase metrics_publish
func metricsPublish(name string, value float64, tags unsafe.Pointer, n uint32) uint32

//go:wasmimport flagbase table_get
func tableGet(table, id string) uint32

//go:wasmimport flagbase table_put
func tablePut(table string, data unsafe.Pointer, n uint32) uint32

//go:wasmimport flagbase table_delete
func tableDelete(table, id string) uint32

//go:wasmimport flagbase table_query
func tableQuery(table string, options unsafe.Pointer, n uint32) uint32

//go:wasmimport flagbase log_write
func logWrite(level uint32, line unsafe.Pointer, n uint32)

//go:wasmimport flagbase secret_get
func secretGet(name string) uint32
