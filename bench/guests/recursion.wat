;; fib(32) by seven million calls, without any loop.
(module
  (memory (export "memory") 1)
  (func $fib (param $n i32) (result i32)
    (if (result i32) (i32.lt_u (local.get $n) (i32.const 2))
      (then (local.get $n))
      (else (i32.add
        (call $fib (i32.sub (local.get $n) (i32.const 1)))
        (call $fib (i32.sub (local.get $n) (i32.const 2)))))))
  (func (export "handle") (result i32 i32)
    (i32.store (i32.const 0) (call $fib (i32.const 32)))
    (i32.const 0) (i32.const 4)))
