;; An agent that wants the environment of whoever runs it: no such import is in our world.
(component
  (import "wasi:cli/environment@0.2.0" (instance $environment
    (export "get-environment" (func (result (list (tuple string string)))))))
  (core module $memory
    (memory (export "memory") 1)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $memory))
  (alias core export $memory "cabi_realloc" (core func $realloc))
  (core func $get (canon lower (func $environment "get-environment")
    (memory $memory) (realloc $realloc)))
  (core module $agent
    (import "env" "get" (func $get (param i32)))
    (func (export "run") (param i32 i32) (result i32)
      (call $get (i32.const 512))
      i32.const 16))
  (core instance $agent (instantiate $agent
    (with "env" (instance (export "get" (func $get))))))
  (alias core export $agent "run" (core func $run))
  (func (export "run") (param "task" string) (result (result string (error string)))
    (canon lift (core func $run) (memory $memory) (realloc $realloc))))
