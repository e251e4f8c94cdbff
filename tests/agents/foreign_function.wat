;; An agent that asks a known interface for a function it does not have.
(component
  (import "akshi:agent/task@0.1.0" (instance $task
    (export "sign" (func (param "bytes" u32) (result u32)))))
  (core func $sign (canon lower (func $task "sign")))
  (core module $agent
    (import "task" "sign" (func $sign (param i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
    (func (export "run") (param i32 i32) (result i32) (call $sign (i32.const 16))))
  (core instance $agent (instantiate $agent
    (with "task" (instance (export "sign" (func $sign))))))
  (alias core export $agent "memory" (core memory $memory))
  (alias core export $agent "cabi_realloc" (core func $realloc))
  (alias core export $agent "run" (core func $run))
  (func (export "run") (param "task" string) (result (result string (error string)))
    (canon lift (core func $run) (memory $memory) (realloc $realloc))))
