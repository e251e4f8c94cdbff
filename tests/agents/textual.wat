;; A whole agent in text form. It would load and answer if text were let in, so a loader
;; that refuses it refuses the form, not the content.
(component
  (core module $agent
    (memory (export "memory") 1)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
    (func (export "run") (param i32 i32) (result i32) i32.const 16)
    (data (i32.const 16) "\00\00\00\00\20\00\00\00\1d\00\00\00") ;; ok, at 32, 29 bytes
    (data (i32.const 32) "[{\22text\22:\22loaded from text\22}]"))
  (core instance $agent (instantiate $agent))
  (alias core export $agent "memory" (core memory $memory))
  (alias core export $agent "cabi_realloc" (core func $realloc))
  (alias core export $agent "run" (core func $run))
  (func (export "run") (param "task" string) (result (result string (error string)))
    (canon lift (core func $run) (memory $memory) (realloc $realloc))))
