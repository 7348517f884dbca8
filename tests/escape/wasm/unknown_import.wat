(module
  (import "@X@" "@Y@" @Z@)
  (memory (export "memory") 1)
  (func (export "_start")))
