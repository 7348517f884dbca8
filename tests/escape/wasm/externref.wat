;; A reference to something of the host, made from nothing: there is none to get.
(module
  (memory (export "memory") 1)
  (table $t 4 externref)
  (func (export "_start")
    (if (i32.eqz (ref.is_null (table.get $t (i32.const 3)))) (then (unreachable)))))
