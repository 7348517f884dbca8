(module
  (import "@X@" "@Y@" @Z@)
  (func (export "_start")))
