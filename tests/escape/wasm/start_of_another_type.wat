(module
  (memory (export "memory") 1)
  (func (export "_start") (param i32) (result i64) (i64.const 0)))
