;; Asks for a page again and again, and does not take no for an answer.
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (loop $more (drop (memory.grow (i32.const 1))) (br $more))))
