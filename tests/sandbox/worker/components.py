"""Small components for tests, written as text and assembled with wasmtime."""

import functools

from wasmtime import wat2wasm

PREAMBLE = """
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
   (export "progress" (func (param "text" string) (result (result string (error $fault)))))
   (export "now" (func (result (result string (error $fault)))))))
"""

# The usual knot: imports need the memory of an instance that needs the imports.
COMPONENT = """(component {preamble}
 (core module $m
  (import "h" "progress" (func $progress (param i32 i32 i32)))
  (import "h" "now" (func $now (param i32)))
  (memory (export "memory") 2)
  (global $free (mut i32) (i32.const 4096))
  (func $alloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.set $free (i32.add (local.get $at) (local.get 3)))
    (block $fits
      (br_if $fits (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
      (br_if $fits (i32.ne (i32.const -1) (memory.grow (i32.add (i32.const 1)
        (i32.div_u (i32.sub (global.get $free) (i32.mul (memory.size) (i32.const 65536)))
          (i32.const 65536))))))
      (unreachable))
    (local.get $at))
  (func $answer (param $tag i32) (param $at i32) (param $length i32) (result i32)
    (i32.store (i32.const 64) (local.get $tag))
    (i32.store (i32.const 68) (local.get $at))
    (i32.store (i32.const 72) (local.get $length))
    (i32.const 64))
  {extra}
  (func $run (export "run") (param $at i32) (param $length i32) (result i32)
    {body}))
 (core module $shim
   (type $three (func (param i32 i32 i32)))
   (type $one (func (param i32)))
   (table (export "t") 2 2 funcref)
   (func (export "progress") (param i32 i32 i32)
     (call_indirect (type $three) (local.get 0) (local.get 1) (local.get 2) (i32.const 0)))
   (func (export "now") (param i32)
     (call_indirect (type $one) (local.get 0) (i32.const 1))))
 (core module $knot
   (import "" "t" (table 2 2 funcref))
   (import "" "progress" (func $progress (param i32 i32 i32)))
   (import "" "now" (func $now (param i32)))
   (elem (i32.const 0) func $progress $now))
 (core instance $s (instantiate $shim))
 (core instance $i (instantiate $m (with "h" (instance
   (export "progress" (func $s "progress")) (export "now" (func $s "now"))))))
 (alias core export $i "memory" (core memory $memory))
 (alias core export $i "cabi_realloc" (core func $realloc))
 (alias core export $i "run" (core func $core_run))
 (alias export $task "progress" (func $task_progress))
 (alias export $task "now" (func $task_now))
 (core func $progress (canon lower (func $task_progress)
   (memory $memory) (realloc $realloc) string-encoding=utf8))
 (core func $now (canon lower (func $task_now)
   (memory $memory) (realloc $realloc) string-encoding=utf8))
 (core instance (instantiate $knot (with "" (instance
   (export "t" (table $s "t")) (export "progress" (func $progress))
   (export "now" (func $now))))))
 (func (export "run") (param "task" string) (result (result string (error string)))
   (canon lift (core func $core_run)
     (memory $memory) (realloc $realloc) string-encoding=utf8)))
"""

# Calls task.progress with its task; answers ok with what came back, or err with the fault's why.
ECHO = """
    (call $progress (local.get $at) (local.get $length) (i32.const 16))
    (if (result i32) (i32.load8_u (i32.const 16))
      (then (call $answer (i32.const 1) (i32.load (i32.const 24)) (i32.load (i32.const 28))))
      (else (call $answer (i32.const 0) (i32.load (i32.const 20)) (i32.load (i32.const 24)))))
"""
SILENT = "(call $answer (i32.const 0) (local.get $at) (local.get $length))"
SPIN = "(loop $forever (br $forever)) (unreachable)"
TRAP = "(unreachable)"
RECURSE = "(call $run (local.get $at) (local.get $length))"
# Grows its memory until it is refused, then answers with its task.
GROW = """
    (loop $more (br_if $more (i32.ne (i32.const -1) (memory.grow (i32.const 16)))))
    (call $answer (i32.const 0) (local.get $at) (local.get $length))
"""
MALFORMED_CALL = """
    (i32.store8 (i32.const 2048) (i32.const 0xff))
    (call $progress (i32.const 2048) (i32.const 1) (i32.const 16))
    (call $answer (i32.const 0) (local.get $at) (local.get $length))
"""
MALFORMED_ANSWER = """
    (i32.store8 (i32.const 2048) (i32.const 0xff))
    (call $answer (i32.const 0) (i32.const 2048) (i32.const 1))
"""
# 2 MiB of zeros: text, and longer than any frame.
HUGE_CALL = """
    (drop (memory.grow (i32.const 40)))
    (call $progress (i32.const 131072) (i32.const 2097152) (i32.const 16))
    (call $answer (i32.const 1) (i32.load (i32.const 24)) (i32.load (i32.const 28)))
"""
HUGE_ANSWER = """
    (drop (memory.grow (i32.const 40)))
    (call $answer (i32.const 0) (i32.const 131072) (i32.const 2097152))
"""
OUT_OF_BOUNDS_CALL = """
    (call $progress (i32.const -16) (i32.const 64) (i32.const 16))
    (call $answer (i32.const 0) (local.get $at) (local.get $length))
"""
FLOOD = """
    (loop $forever (call $now (i32.const 16)) (global.set $free (i32.const 4096)) (br $forever))
    (unreachable)
"""
# Counts in memory: a second run in the same store would answer "2".
COUNT = """
    (i32.store8 (i32.const 2048) (i32.add (i32.load8_u (i32.const 2048)) (i32.const 1)))
    (i32.store8 (i32.const 2049) (i32.add (i32.load8_u (i32.const 2048)) (i32.const 48)))
    (call $answer (i32.const 0) (i32.const 2049) (i32.const 1))
"""


@functools.cache
def component(body: str, *, extra: str = "", preamble: str = PREAMBLE) -> bytes:
    """A component whose `run` is `body`; locals `$at` and `$length` are its task."""
    return bytes(wat2wasm(COMPONENT.format(preamble=preamble, extra=extra, body=body)))


# 12 MiB of four-byte characters: 48 MiB as Python text, beside the bytes and the memory.
WIDE_CALL = """
    (local $to i32)
    (drop (memory.grow (i32.const 200)))
    (local.set $to (i32.const 131072))
    (loop $more
      (i32.store (local.get $to) (i32.const 0x80989ff0))
      (local.set $to (i32.add (local.get $to) (i32.const 4)))
      (br_if $more (i32.lt_u (local.get $to) (i32.const 12582912))))
    (call $progress (i32.const 131072) (i32.const 12451840) (i32.const 16))
    (call $answer (i32.const 1) (i32.load (i32.const 24)) (i32.load (i32.const 28)))
"""
