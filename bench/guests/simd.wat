;; y = a*x + y over 8,192 numbers, 4,000 times: four at a time, two vectors a round.
(module
  (memory (export "memory") 2)
  (func (export "handle") (result i32 i32)
    (local $round i32) (local $p i32) (local $a v128)
    (loop $fill
      (f32.store (local.get $p) (f32.convert_i32_u (local.get $p)))
      (f32.store offset=65536 (local.get $p) (f32.const 1))
      (local.set $p (i32.add (local.get $p) (i32.const 4)))
      (br_if $fill (i32.lt_u (local.get $p) (i32.const 32768))))
    (local.set $a (f32x4.splat (f32.const 0.001)))
    (loop $again
      (local.set $p (i32.const 0))
      (loop $next
        (v128.store offset=65536 (local.get $p)
          (f32x4.add (f32x4.mul (local.get $a) (v128.load (local.get $p))) (v128.load offset=65536 (local.get $p))))
        (v128.store offset=65552 (local.get $p)
          (f32x4.add (f32x4.mul (local.get $a) (v128.load offset=16 (local.get $p))) (v128.load offset=65552 (local.get $p))))
        (local.set $p (i32.add (local.get $p) (i32.const 32)))
        (br_if $next (i32.lt_u (local.get $p) (i32.const 32768))))
      (local.set $round (i32.add (local.get $round) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $round) (i32.const 4000))))
    (i32.const 65536) (i32.const 32768)))
