;; Grows a table to its limit of 1,000 elements and not beyond.
(module
  (memory (export "memory") 1)
  (table $t 4 funcref)
  (func $fail (unreachable))
  (func (export "_start")
    (if (i32.ne (table.grow $t (ref.null func) (i32.const 997)) (i32.const -1))
      (then (call $fail)))
    (if (i32.ne (table.grow $t (ref.null func) (i32.const 996)) (i32.const 4))
      (then (call $fail)))
    (if (i32.ne (table.grow $t (ref.null func) (i32.const -1)) (i32.const -1))
      (then (call $fail)))
    (if (i32.ne (table.size $t) (i32.const 1000)) (then (call $fail)))))
