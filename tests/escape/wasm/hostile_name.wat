;; A function whose name would drive a terminal.
(module
  (memory (export "memory") 1)
  (func $inner (@name "\1b[31mred\1b[0m\0a\07\u{202e}") (unreachable))
  (func (export "_start") (call $inner)))
