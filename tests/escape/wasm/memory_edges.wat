;; One access at a place near the end of a memory of one page.
(module
  (memory (export "memory") 1)
  (func (export "_start") (drop @X@)))
