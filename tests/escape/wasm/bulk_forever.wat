;; Fills all of its memory at once, for ever: such an instruction is not interrupted.
(module
  (memory (export "memory") 512)
  (func (export "_start")
    (loop $l
      (memory.fill (i32.const 0) (i32.const 7) (i32.const 33554432))
      (memory.copy (i32.const 0) (i32.const 1) (i32.const 33554431))
      (br $l))))
