;; Begins with one page more than it may have.
(module
  (memory (export "memory") 513)
  (func (export "_start")))
