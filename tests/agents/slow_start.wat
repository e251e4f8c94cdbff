;; An agent that never gets as far as `run`: its start function spins while it is loaded.
(component
  (core module $agent
    (memory (export "memory") 1)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
    (func (export "run") (param i32 i32) (result i32) i32.const 16)
    (func $spin (loop $again (br $again)))
    (start $spin))
  (core instance $agent (instantiate $agent))
  (alias core export $agent "memory" (core memory $memory))
  (alias core export $agent "cabi_realloc" (core func $realloc))
  (alias core export $agent "run" (core func $run))
  (func (export "run") (param "task" string) (result (result string (error string)))
    (canon lift (core func $run) (memory $memory) (realloc $realloc))))
