"""An agent's file becomes code through a jailed child; the cache trusts only its own MAC."""

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from wasmtime import wat2wasm

from sandbox.errors import CompileFailed
from sandbox.host import compile as compiling
from sandbox.host.compile import Compiled, Compiler
from sandbox.host.zygote import Zygote
from sandbox.hostcall import Done, Limits, Run
from tests.sandbox.worker import components

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux only")

KEY = bytes(range(32))


@pytest.fixture
async def zygote(nursery: trio.Nursery) -> AsyncIterator[Zygote]:
    zygote = Zygote()
    await nursery.start(zygote.run)
    yield zygote
    nursery.cancel_scope.cancel()


@pytest.fixture
def wasm(tmp_path: Path) -> Path:
    path = tmp_path / "agent.wasm"
    path.write_bytes(components.component(components.SILENT))
    return path


def compiler(zygote: Zygote, tmp_path: Path, key: bytes = KEY) -> Compiler:
    return Compiler(zygote, directory=tmp_path / "cache" / "aot", key=key)


def content(compiled: Compiled) -> bytes:
    data = os.pread(compiled.code.descriptor, compiled.code.bytes, 0)
    compiled.code.close()
    return data


async def answer(zygote: Zygote, compiled: Compiled) -> str:
    async with await zygote.spawn(compiled.code, Limits(fuel=1)) as worker:
        compiled.code.close()
        await worker.send(Run(Limits(fuel=1_000_000), "hello"))
        done = await worker.receive()
        assert isinstance(done, Done)
        return done.text


async def test_compiled_once_then_remembered(zygote: Zygote, tmp_path: Path, wasm: Path) -> None:
    fresh = await compiler(zygote, tmp_path).compiled(wasm)
    (cached,) = (tmp_path / "cache" / "aot").iterdir()
    assert cached.stat().st_mode & 0o777 == 0o600
    assert cached.parent.stat().st_mode & 0o777 == 0o700
    before = cached.stat()
    again = await compiler(zygote, tmp_path).compiled(wasm)
    assert cached.stat().st_mtime_ns == before.st_mtime_ns
    assert again.sha256 == fresh.sha256
    assert content(again) == content(fresh)
    assert await answer(zygote, await compiler(zygote, tmp_path).compiled(wasm)) == "hello"


async def test_a_flipped_bit_anywhere_is_found_and_compiled_over(
    zygote: Zygote, tmp_path: Path, wasm: Path
) -> None:
    """MAC, beginning, middle and end; and a file cut short."""
    good = content(await compiler(zygote, tmp_path).compiled(wasm))
    (cached,) = (tmp_path / "cache" / "aot").iterdir()
    whole = cached.read_bytes()
    damaged = [bytearray(whole) for _ in range(4)]
    for data, at in zip(damaged, (0, 32, len(whole) // 2, len(whole) - 1), strict=True):
        data[at] ^= 1
    for forgery in [*damaged, whole[:-1], whole[:20], b"", whole + b"\0"]:
        cached.write_bytes(forgery)
        assert content(await compiler(zygote, tmp_path).compiled(wasm)) == good
        assert cached.read_bytes() == whole


async def test_another_keys_code_is_not_loaded(zygote: Zygote, tmp_path: Path, wasm: Path) -> None:
    content(await compiler(zygote, tmp_path, bytes(32)).compiled(wasm))
    (cached,) = (tmp_path / "cache" / "aot").iterdir()
    theirs = cached.read_bytes()
    content(await compiler(zygote, tmp_path).compiled(wasm))
    assert cached.read_bytes() != theirs


async def test_code_of_one_component_does_not_pass_for_another(
    zygote: Zygote, tmp_path: Path, wasm: Path
) -> None:
    content(await compiler(zygote, tmp_path).compiled(wasm))
    (first,) = (tmp_path / "cache" / "aot").iterdir()
    wasm.write_bytes(components.component(components.COUNT))
    content(await compiler(zygote, tmp_path).compiled(wasm))
    (second,) = set((tmp_path / "cache" / "aot").iterdir()) - {first}
    second.write_bytes(first.read_bytes())
    assert await answer(zygote, await compiler(zygote, tmp_path).compiled(wasm)) == "1"


async def test_a_cache_that_cannot_be_written_only_costs_time(
    zygote: Zygote, tmp_path: Path, wasm: Path
) -> None:
    first = await compiler(zygote, tmp_path).compiled(wasm)
    (cached,) = (tmp_path / "cache" / "aot").iterdir()
    cached.unlink()
    cached.mkdir()
    assert content(await compiler(zygote, tmp_path).compiled(wasm)) == content(first)


REFUSED = {
    "text form": (b"(component)", "text form"),
    "core module": (bytes(wat2wasm("(module)")), "a core module"),
    "another version": (b"\0asm\x02\0\0\0", "unknown version"),
    "precompiled code": (b"\x7fELF\x02\x01\x01", "not wasm"),
    "nothing": (b"", "not wasm"),
    "only a header": (b"\0asm\x0d\0\x01\0", "no export named run"),
    "broken": (b"\0asm\x0d\0\x01\0\xff\xff", "offset"),
}


@pytest.mark.parametrize(("data", "why"), REFUSED.values(), ids=REFUSED)
async def test_what_is_no_component_is_refused(
    zygote: Zygote, tmp_path: Path, wasm: Path, data: bytes, why: str
) -> None:
    wasm.write_bytes(data)
    with pytest.raises(CompileFailed, match=why):
        await compiler(zygote, tmp_path).compiled(wasm)
    assert not (tmp_path / "cache").exists()


async def test_a_file_that_is_too_large_is_not_read_whole(
    zygote: Zygote, tmp_path: Path, wasm: Path
) -> None:
    os.truncate(wasm, compiling.WASM_BYTES_MAX + 1)
    with pytest.raises(CompileFailed, match="larger than 32 MiB"):
        await compiler(zygote, tmp_path).compiled(wasm)


async def test_a_pipe_is_no_agent(zygote: Zygote, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CompileFailed, match="not a regular file"):
        await compiler(zygote, tmp_path).compiled(tmp_path / "pipe")


async def test_a_component_with_a_foreign_import_is_refused_by_name(
    zygote: Zygote, tmp_path: Path, wasm: Path
) -> None:
    preamble = components.PREAMBLE + '(import "wasi:cli/exit@0.2.3" (instance))'
    wasm.write_bytes(components.component(components.SILENT, preamble=preamble))
    with pytest.raises(CompileFailed, match=r"wasi:cli/exit@0\.2\.3"):
        await compiler(zygote, tmp_path).compiled(wasm)


async def test_a_compile_that_does_not_end_is_ended(
    nursery: trio.Nursery, tmp_path: Path, wasm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "COMPILE_S_MAX", 0.05)
    endless = (
        "import sys; from sandbox.worker import guest, zygote;"
        "guest.Runtime.compile = lambda *_: [None for _ in iter(int, 1)];"
        "sys.exit(zygote.main())"
    )
    zygote = Zygote(command=(sys.executable, "-I", "-c", endless))
    await nursery.start(zygote.run)
    with pytest.raises(CompileFailed, match="not compiled in"):
        await compiler(zygote, tmp_path).compiled(wasm)
    await zygote.wait_none()
    assert zygote.workers == []
    nursery.cancel_scope.cancel()


async def test_a_compiler_that_breaks_its_jail_is_named(
    nursery: trio.Nursery, tmp_path: Path, wasm: Path
) -> None:
    """A hole in the compiler gains nothing: the child may not open a file either."""
    hole = (
        "import os, sys; from sandbox.worker import guest, zygote;"
        "guest.Runtime.compile = lambda *_: os.open('/etc/passwd', os.O_RDONLY);"
        "sys.exit(zygote.main())"
    )
    zygote = Zygote(command=(sys.executable, "-I", "-c", hole))
    await nursery.start(zygote.run)
    with pytest.raises(CompileFailed, match="SIGSYS"):
        await compiler(zygote, tmp_path).compiled(wasm)
    nursery.cancel_scope.cancel()
