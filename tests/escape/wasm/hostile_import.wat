(module
  (import "env" "x\0afake\u{202e}" (func))
  (memory (export "memory") 1)
  (func (export "_start")))
