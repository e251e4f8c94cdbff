"""How wasmtime is set up, as data: the node needs its hash and never loads wasmtime."""

from typing import Final

INTERFACE_VERSION: Final = "0.1.0"  # of package akshi:agent, sandbox/wit/akshi.wit

# Attributes of wasmtime.Config. The compile child and the workers use the same.
ENGINE: Final[tuple[tuple[str, bool | int], ...]] = (
    ("consume_fuel", True),
    # Measured: 2.2 MiB of address space an instance instead of 4,160.
    ("memory_reservation", 1 << 20),
    ("memory_reservation_for_growth", 1 << 20),
    ("memory_guard_size", 64 << 10),
    # Its copy-on-write images of memory come from memfd_create, which the jail forbids.
    ("memory_init_cow", False),
    # A jailed process has one thread.
    ("parallel_compilation", False),
    ("wasm_threads", False),
    ("shared_memory", False),
    ("wasm_memory64", False),
    # Bits of a NaN differ between machines; a run must not.
    ("cranelift_nan_canonicalization", True),
    ("wasm_relaxed_simd_deterministic", True),
    ("max_wasm_stack", 512 << 10),
)
