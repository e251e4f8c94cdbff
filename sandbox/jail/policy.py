"""What one native program may be and touch, as the launcher is told it.

Plain JSON in one form, over a descriptor: an environment would be inherited, and words on
the command line can be read by everyone.
"""

import json
from typing import NamedTuple, Self


class JailPolicy(NamedTuple):
    """Every path is absolute; every list is an allowlist.

    A NamedTuple and not a dataclass, which would cost each start of a program 5 ms.

    Attributes:
        argv: the program and its words.
        env: the whole environment.
        cwd: where it starts; a path that it may read.
        run: paths whose files may be read and executed: libraries, and the program.
        read: paths that may be read.
        write: paths that may be changed; nothing below them is executed.
        hidden: paths that must not be in reach: a policy that opens one is refused.
        network: whether TCP and UDP over IP are there. Nothing else ever is.
        memory_bytes: private writable memory of each process.
        file_bytes: of one file it writes.
        processes: at once, threads among them.
        descriptors: open at once in one process.
        channels: inherited descriptors it keeps, beside the first three.
    """

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    cwd: str = "/"
    run: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    network: bool = False
    memory_bytes: int = 512 << 20
    file_bytes: int = 64 << 20
    processes: int = 64
    descriptors: int = 256
    channels: tuple[int, ...] = ()

    def to_json(self) -> bytes:
        """What `from_json` reads."""
        return json.dumps(self._asdict()).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """The policy that `to_json` wrote; it comes from our own node only."""
        values = json.loads(data)
        lists = {name: tuple(values[name]) for name in ("argv", "run", "read", "write", "hidden")}
        values |= lists
        values["env"] = tuple((name, value) for name, value in values["env"])
        values["channels"] = tuple(values["channels"])
        return cls(**values)
