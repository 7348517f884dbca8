;; One operation outside of a table of four elements, of segments that were dropped, or of data.
(module
  (memory (export "memory") 1)
  (table $t 4 funcref)
  (table $u 2 funcref)
  (elem $e func $f $f)
  (data $d "abcd")
  (func $f)
  (func (export "_start") @X@))
