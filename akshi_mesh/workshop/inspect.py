"""What a component asks for, whether a node would take it, and what it would be allowed.

The imports are read from the bytes (sandbox/component.py). Whether it would be accepted is
asked of the engine itself, as a node does: in a child that is locked in.
"""

import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

import trio

from akshi_mesh.workshop.errors import NotAComponent
from identity.cid import wasm_cid
from sandbox.component import COMPONENT_BYTES_MAX, Component, read_component
from sandbox.errors import CompileFailed, MalformedComponent
from sandbox.host.compile import KEY_BYTES, Compiler
from sandbox.host.zygote import Zygote


@dataclass(frozen=True, slots=True)
class Inspected:
    """One file, as it is now."""

    path: Path
    size: int
    sha256: bytes
    component: Component

    @property
    def cid(self) -> str:
        return wasm_cid(self.sha256)


def inspect(path: Path) -> Inspected:
    """Read `path` and what it imports; nothing of it is run or compiled.

    Raises:
        NotAComponent: it is something else, cut off, or larger than a node takes.
        OSError: it cannot be read.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise NotAComponent(path, why="not a regular file")
        wasm = file.read(COMPONENT_BYTES_MAX + 1)
    try:
        component = read_component(wasm)
    except MalformedComponent as malformed:
        raise NotAComponent(path, why=str(malformed)) from malformed
    return Inspected(path, len(wasm), hashlib.sha256(wasm).digest(), component)


def refusal(path: Path, sha256: bytes) -> str | None:
    """Why a node would refuse this component, asked of the engine in a jailed child; None: it runs.

    Raises:
        JailMissing, ZygoteLost: no child could be made here.
        NotAComponent: the file changed between the two looks.
    """
    return trio.run(_refusal, path, sha256)


async def _refusal(path: Path, sha256: bytes) -> str | None:
    with tempfile.TemporaryDirectory(prefix="akshi-inspect-") as place:
        async with trio.open_nursery() as nursery:
            zygote = Zygote()
            await nursery.start(zygote.run)
            compiler = Compiler(zygote, directory=Path(place), key=os.urandom(KEY_BYTES))
            try:
                compiled = await compiler.compiled(path)
            except CompileFailed as failed:
                return failed.why
            finally:
                nursery.cancel_scope.cancel()
            compiled.code.close()
            if compiled.sha256 != sha256:
                raise NotAComponent(path, why="it changed while it was read")
            return None
