;; Memory shared between threads, and waiting in it.
(module
  (memory (export "memory") 1 2 shared)
  (func (export "_start")
    (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))))
