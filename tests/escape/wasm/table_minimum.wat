(module
  (memory (export "memory") 1)
  (table 1001 funcref)
  (func (export "_start")))
