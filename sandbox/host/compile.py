"""From an agent's wasm file to code a worker may load: a jailed child and a cache with a MAC.

The cache holds machine code, and wasmtime loads damaged machine code without a word
(measured: 143 of 151 flipped bits). So each file begins with a MAC over its bytes and
its name, under a key that only the node has; the file is read once, and what was
checked is what the worker gets. Code that others compiled is never accepted.
"""

import contextlib
import hashlib
import hmac
import os
import platform
import secrets
import stat
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

import structlog
import trio

from sandbox.errors import CompileFailed, MalformedFrame, WorkerLost
from sandbox.host.memfile import Memfile
from sandbox.host.zygote import WorkerProcess, Zygote
from sandbox.hostcall import Chunk, Done, Faulted
from sandbox.worker import settings

log = structlog.get_logger()

WASM_BYTES_MAX: Final = 32 << 20  # the largest measured toolchain (Python) makes 18 MiB
CODE_BYTES_MAX: Final = 256 << 20  # and 39 MiB of machine code of that
COMPILE_S_MAX: Final = 120.0  # measured: 17 s for the slowest toolchain on this class of machine
COMPILE_DATA_BYTES: Final = 2 << 30
KEY_BYTES: Final = 32
_MAC_BYTES: Final = 32
_COMPONENT_MAGIC: Final = b"\0asm\x0d\x00\x01\x00"  # version 13, layer 1: a component
_CORE_MAGIC: Final = b"\0asm\x01\x00\x00\x00"


@dataclass(frozen=True, slots=True)
class Compiled:
    """A component as workers load it. Close `code` when no more workers will be made of it."""

    sha256: bytes  # of the wasm file, computed by us
    code: Memfile


class Compiler:
    """Compiles agents, remembers the results in `directory` (0700, made if absent).

    `key`: 32 bytes that nobody but this node knows; another key only empties the cache.
    """

    def __init__(self, zygote: Zygote, *, directory: Path, key: bytes) -> None:
        assert len(key) == KEY_BYTES
        self._zygote = zygote
        self._directory = directory
        self._key = key
        self._engine = engine_id()
        # One at a time: a compile takes a core and much memory.
        self._one_at_a_time = trio.Lock()

    async def compiled(self, wasm_path: Path) -> Compiled:
        """The code of the component in `wasm_path`, from the cache or fresh.

        Raises:
            CompileFailed: no component, too large, too slow, or it imports what we do not link.
            SpawnFailed, ZygoteLost: no child could be made; may pass.
            OSError: the file or the cache directory cannot be read.
        """
        wasm = await trio.to_thread.run_sync(_read_wasm, wasm_path)
        _check_form(wasm, wasm_path)
        digest = hashlib.sha256(wasm).digest()
        async with self._one_at_a_time:
            code = await trio.to_thread.run_sync(self._recall, digest)
            if code is None:
                code = await self._compile(wasm, wasm_path)
                await trio.to_thread.run_sync(self._remember, digest, code)
        return Compiled(digest, Memfile(code))

    async def _compile(self, wasm: bytes, path: Path) -> bytes:
        with Memfile(wasm) as payload:
            child = await self._zygote.spawn_compiler(payload, data_bytes=COMPILE_DATA_BYTES)
        with trio.move_on_after(COMPILE_S_MAX):
            async with child:
                try:
                    return await _receive_code(child, path)
                except WorkerLost as lost:
                    child.kill()
                    how = await child.wait()
                    if how.violation:
                        log.error("compile.violation", path=str(path))
                    raise CompileFailed(str(path), why=f"the compiler ended: {how}") from lost
                except MalformedFrame as malformed:
                    raise CompileFailed(str(path), why=str(malformed)) from malformed
        raise CompileFailed(str(path), why=f"not compiled in {COMPILE_S_MAX:.0f} s")

    def _file(self, digest: bytes) -> Path:
        name = hashlib.blake2b(digest + self._engine, digest_size=32).hexdigest()
        return self._directory / f"{name}.aot"

    def _mac(self, digest: bytes, code: bytes) -> bytes:
        mac = hashlib.blake2b(key=self._key, digest_size=_MAC_BYTES, person=b"akshi-mesh aot")
        mac.update(digest)
        mac.update(self._engine)
        mac.update(code)
        return mac.digest()

    def _recall(self, digest: bytes) -> bytes | None:
        file = self._file(digest)
        try:
            data = _read_regular(file, bytes_max=CODE_BYTES_MAX + _MAC_BYTES)
        except FileNotFoundError:
            return None
        except (OSError, _NotRegular) as unusable:
            log.warning("aot.unreadable", file=file.name, why=str(unusable))
            return None
        code = data[_MAC_BYTES:]
        if hmac.compare_digest(data[:_MAC_BYTES], self._mac(digest, code)):
            return code
        log.warning("aot.forged", file=file.name, why="its MAC does not fit; compiling again")
        return None

    def _remember(self, digest: bytes, code: bytes) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self._file(digest)
        beside = file.with_suffix(f".{secrets.token_hex(8)}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(beside, flags, 0o600), "wb") as out:
                out.write(self._mac(digest, code))
                out.write(code)
            beside.rename(file)
        except OSError as full:
            # A cache that cannot be written costs time, nothing else.
            log.warning("aot.unwritable", file=file.name, why=str(full))
            with contextlib.suppress(OSError):
                beside.unlink()


def engine_id() -> bytes:
    """What compiled code depends on: wasmtime, its settings, the interface, this processor."""
    facts = (
        metadata.version("wasmtime"),
        settings.ENGINE,
        settings.INTERFACE_VERSION,
        platform.system(),
        platform.machine(),
        _processor_features(),
    )
    return hashlib.sha256(repr(facts).encode()).digest()


def _processor_features() -> str:
    """The first processor's feature line; a copied home must not load another machine's code."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.lower().startswith(("flags", "features"))), "")


class _NotRegular(Exception):
    """Something else than a file of an allowed size stands there."""


def _read_regular(path: Path, *, bytes_max: int) -> bytes:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    with os.fdopen(os.open(path, flags), "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise _NotRegular("not a regular file")
        data = file.read(bytes_max + 1)
        if len(data) > bytes_max:
            raise _NotRegular(f"larger than {bytes_max >> 20} MiB")
        return data


def _read_wasm(path: Path) -> bytes:
    try:
        return _read_regular(path, bytes_max=WASM_BYTES_MAX)
    except _NotRegular as refused:
        raise CompileFailed(str(path), why=str(refused)) from refused


def _check_form(wasm: bytes, path: Path) -> None:
    """Refuse at a glance what is not a binary component."""
    if wasm.startswith(_COMPONENT_MAGIC):
        return
    if wasm.startswith(_CORE_MAGIC):
        raise CompileFailed(str(path), why="a core module; want a component")
    if wasm[:4] == b"\0asm":
        raise CompileFailed(str(path), why="an unknown version of wasm")
    if wasm.lstrip()[:1] in (b"(", b";"):
        raise CompileFailed(str(path), why="text form; want the binary component")
    raise CompileFailed(str(path), why="not wasm")


async def _receive_code(child: WorkerProcess, path: Path) -> bytes:
    code = bytearray()
    while True:
        match await child.receive():
            case Chunk(data):
                code += data
                if len(code) > CODE_BYTES_MAX:
                    raise CompileFailed(str(path), why="more than 256 MiB of machine code")
            case Done():
                return bytes(code)
            case Faulted(_, why):
                raise CompileFailed(str(path), why=why)
            case _:
                raise AssertionError("the parser lets only these through")
