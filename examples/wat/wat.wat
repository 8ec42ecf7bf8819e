;; A plain module, without WASI and by hand. handle() returns where its output is and how long:
;; the trace id, a space, and the output of the function "go-command", invoked without an event.
(module
  (import "flagbase" "get_trace_id" (func $get_trace_id (param i32 i32) (result i32)))
  (import "flagbase" "fn_invoke" (func $fn_invoke (param i32 i32) (result i32)))
  (import "flagbase" "result_read" (func $result_read (param i32 i32) (result i32)))
  (import "flagbase" "error_read" (func $error_read (param i32 i32) (result i32)))
  (import "flagbase" "log_write" (func $log_write (param i32 i32 i32)))

  (memory (export "memory") 2)
  (data (i32.const 0) "go-command")
  (data (i32.const 16) "asking go-command")

  (func (export "handle") (result i32 i32)
    (local $end i32)
    (call $log_write (i32.const 1) (i32.const 16) (i32.const 17)) ;; 1 is info
    (local.set $end
      (i32.add (i32.const 1024) (call $get_trace_id (i32.const 1024) (i32.const 64))))
    (i32.store8 (local.get $end) (i32.const 32)) ;; a space
    (local.set $end (i32.add (local.get $end) (i32.const 1)))

    (if (i32.eq (call $fn_invoke (i32.const 0) (i32.const 10)) (i32.const -1))
      (then (local.set $end
        (i32.add (local.get $end) (call $error_read (local.get $end) (i32.const 65536)))))
      (else (local.set $end
        (i32.add (local.get $end) (call $result_read (local.get $end) (i32.const 65536))))))

    (i32.const 1024)
    (i32.sub (local.get $end) (i32.const 1024))))
