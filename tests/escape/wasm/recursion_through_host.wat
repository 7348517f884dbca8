;; As deep as it goes, with a call to the host in each frame.
(module
  (import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock (param i32 i64 i32) (result i32)))
  (memory (export "memory") 1)
  (func $deep (param i64) (result i64)
    (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 8)))
    (i64.add (i64.const 1) (call $deep (i64.add (local.get 0) (i64.const 1)))))
  (func (export "_start") (drop (call $deep (i64.const 0)))))
