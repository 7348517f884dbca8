;; Sums that compilers have got wrong: sign bits, widening, lanes; fails when one differs.
(module
  (memory (export "memory") 1)
  (func $same (param v128 v128)
    (if (v128.any_true (v128.xor (local.get 0) (local.get 1))) (then (unreachable))))
  (func (export "_start")
    (if (i64.ne (i64.reinterpret_f64 (f64.copysign (f64.const nan:0x4000000000000) (f64.const -1)))
                (i64.const 0xfff4000000000000)) (then (unreachable)))
    (call $same
      (i64x2.extend_low_i32x4_s (v128.const i32x4 -1 0x7fffffff 5 6))
      (v128.const i64x2 -1 0x7fffffff))
    (call $same
      (i64x2.extend_high_i32x4_u (v128.const i32x4 1 2 -1 0x80000000))
      (v128.const i64x2 0xffffffff 0x80000000))
    (call $same
      (i16x8.sub_sat_s (v128.const i16x8 -32768 1 2 3 4 5 6 7) (v128.const i16x8 1 1 1 1 1 1 1 1))
      (v128.const i16x8 -32768 0 1 2 3 4 5 6))
    (call $same
      (i8x16.swizzle (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
                     (v128.const i8x16 15 16 255 0 1 2 3 4 5 6 7 8 9 10 11 128))
      (v128.const i8x16 15 0 0 0 1 2 3 4 5 6 7 8 9 10 11 0))
    (call $same
      (i32x4.trunc_sat_f32x4_s (v128.const f32x4 nan 3e10 -3e10 -1.9))
      (v128.const i32x4 0 0x7fffffff 0x80000000 -1))))
