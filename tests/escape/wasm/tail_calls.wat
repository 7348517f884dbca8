;; A loop of ten million calls that keep no frame.
(module
  (memory (export "memory") 1)
  (func $f (param i32)
    (if (i32.eqz (local.get 0)) (then (return)))
    (return_call $f (i32.sub (local.get 0) (i32.const 1))))
  (func (export "_start") (call $f (i32.const 10000000))))
