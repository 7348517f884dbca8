;; Calls through a table: another type, an empty element, outside.
(module
  (memory (export "memory") 1)
  (type $takes (func (param i64)))
  (type $plain (func))
  (table 4 funcref)
  (elem (i32.const 0) $f)
  (func $f)
  (func (export "_start") @X@))
