;; Grows far beyond what there can be, then page by page up to the limit of 512 pages, and fails
;; unless exactly that many were had and all of them can be used.
(module
  (memory (export "memory") 1)
  (func $fail (unreachable))
  (func (export "_start")
    (if (i32.ne (memory.grow (i32.const 65536)) (i32.const -1)) (then (call $fail)))
    (if (i32.ne (memory.grow (i32.const -1)) (i32.const -1)) (then (call $fail)))
    (loop $more
      (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    (if (i32.ne (memory.size) (i32.const 512)) (then (call $fail)))
    (i32.store (i32.const 33554428) (i32.const 1))))
