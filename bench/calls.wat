;; Asks a thousand times whether its task is cancelled, and answers with an empty text.
(component
 (import "akshi:agent/types@0.1.0" (instance $types
   (type $c (enum "capability-denied" "approval-denied" "approval-timeout" "not-allowed"
     "budget-exceeded" "rate-limited" "invalid" "unavailable" "unknown" "cancelled"))
   (export "code" (type $code (eq $c)))
   (type $f (record (field "code" $code) (field "why" string)))
   (export "fault" (type (eq $f)))))
 (alias export $types "fault" (type $fault))
 (import "akshi:agent/task@0.1.0" (instance $task
   (alias outer 1 $fault (type $f))
   (export "fault" (type $fault (eq $f)))
   (export "is-cancelled" (func (result (result string (error $fault)))))))
 (core module $agent
  (import "task" "is-cancelled" (func $ask (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 128) "[{\"text\":\"\"}]")
  (global $free (mut i32) (i32.const 4096))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.set $free (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func (export "run") (param i32 i32) (result i32)
    (local $left i32)
    (local $before i32)
    (local.set $left (i32.const 1000))
    (local.set $before (global.get $free))
    (loop $again
      (call $ask (i32.const 16))
      (global.set $free (local.get $before)) ;; the answer is not kept
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $again (local.get $left)))
    (i32.store (i32.const 64) (i32.const 0)) ;; ok
    (i32.store (i32.const 68) (i32.const 128))
    (i32.store (i32.const 72) (i32.const 13))
    (i32.const 64)))
 ;; The usual knot: imports need the memory of an instance that needs the imports.
 (core module $shim
  (type $one (func (param i32)))
  (table (export "table") 1 1 funcref)
  (func (export "is-cancelled") (param i32)
    (call_indirect (type $one) (local.get 0) (i32.const 0))))
 (core module $knot
  (import "" "table" (table 1 1 funcref))
  (import "" "is-cancelled" (func $ask (param i32)))
  (elem (i32.const 0) func $ask))
 (core instance $shim (instantiate $shim))
 (core instance $agent (instantiate $agent
   (with "task" (instance (export "is-cancelled" (func $shim "is-cancelled"))))))
 (alias core export $agent "memory" (core memory $memory))
 (alias core export $agent "cabi_realloc" (core func $realloc))
 (alias core export $agent "run" (core func $run))
 (alias export $task "is-cancelled" (func $is_cancelled))
 (core func $lowered (canon lower (func $is_cancelled)
   (memory $memory) (realloc $realloc) string-encoding=utf8))
 (core instance (instantiate $knot (with "" (instance
   (export "table" (table $shim "table")) (export "is-cancelled" (func $lowered))))))
 (func (export "run") (param "task" string) (result (result string (error string)))
   (canon lift (core func $run) (memory $memory) (realloc $realloc) string-encoding=utf8)))
