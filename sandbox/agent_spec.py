"""One agent as its owner configured it: a value that cannot be wrong.

The configuration's reader builds it, everything else only reads it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import PurePosixPath
from typing import Literal

from identity.cid import is_wasm_cid
from sandbox.approvals import ApprovalRule
from sandbox.capability import Capability
from sandbox.endpoint import EndpointRule
from sandbox.errors import MalformedAgentSpec
from sandbox.mcp_server import McpServerSpec
from sandbox.rate import Rate
from sandbox.spend import SpendPolicy

# A name is an identity, a journal and a file name at once: no separator, no leading
# dot, nothing that two alphabets or two cases of a file system could tell apart wrongly.
NAME_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")

MEMORY_MB_MAX = 64  # a Python guest needs 64, nothing we run needs more
WORKERS_MAX = 8
QUEUE_MAX = 4_096
# Measured: 3.8 to 4.9 million units a millisecond, so about 2.5 s of one core.
FUEL_DEFAULT = 10_000_000_000
FUEL_MAX = 2**63 - 1  # a signed 64-bit field of the frames
WALL_CLOCK_S_MAX = 24 * 3600.0
RESTARTS_MAX = 1_000
RESTART_BACKOFF_S_MAX = 3_600.0
ALLOWED_MAX = 256  # lines in one allowlist; each call walks them
# Whom secrets are for beside agents: a route of [router], a rail of [spend].
_NOT_AGENTS = frozenset({"rail", "route"})
_NOT_FILES = frozenset({"dev", "proc", "sys"})  # kernel interfaces that look like files


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """What may run under one name, with which powers, within which limits.

    `peers_allowed` and `filesystem_allowed` are allowlists: empty allows nothing.
    `wasm_cid`, if given, is the only component that may run. `filesystem_allowed` holds
    absolute paths of directories. A capability without a line
    in `approval` has `RULE_DEFAULT`, one without a line in `rates` is not counted.
    """

    name: str
    wasm_path: str
    capabilities: frozenset[Capability] = field(default_factory=frozenset)
    peers_allowed: tuple[str, ...] = ()
    filesystem_allowed: tuple[str, ...] = ()
    memory_mb: int = 16
    fuel: int = FUEL_DEFAULT
    wall_clock_s: float = 30.0
    workers: int = 1
    queue: int = 256
    max_restarts: int = 10
    restart_backoff_s: float = 5.0
    wasi: Literal["none", "empty"] = "none"
    share_originators: bool = False
    wasm_cid: str | None = None
    endpoints: tuple[EndpointRule, ...] = ()
    approval: Mapping[Capability, ApprovalRule] = field(default_factory=dict)
    rates: Mapping[Capability, Rate] = field(default_factory=dict)
    spend: SpendPolicy | None = None
    mcp_servers: tuple[McpServerSpec, ...] = ()

    def __post_init__(self) -> None:
        self._check_name()
        self._check_number("memory_mb", self.memory_mb, 1, MEMORY_MB_MAX)
        self._check_number("fuel", self.fuel, 1, FUEL_MAX)
        self._check_number("wall_clock_s", self.wall_clock_s, 0.001, WALL_CLOCK_S_MAX)
        self._check_number("workers", self.workers, 1, WORKERS_MAX)
        self._check_number("queue", self.queue, 0, QUEUE_MAX)
        self._check_number("max_restarts", self.max_restarts, 0, RESTARTS_MAX)
        self._check_number(
            "restart_backoff_s", self.restart_backoff_s, 0.001, RESTART_BACKOFF_S_MAX
        )
        if self.wasi != "none":
            # Measured: wasmtime's WASI starts two threads at the first write, and the jail ends it.
            raise self._malformed("wasi", 'want "none": WASI cannot be given inside the jail')
        if self.wasm_cid is not None and not is_wasm_cid(self.wasm_cid):
            raise self._malformed("wasm_cid", "want a CID, such as `agents inspect` prints")
        self._check_filesystem()
        self._check_peers()

    def _check_name(self) -> None:
        if not NAME_PATTERN.fullmatch(self.name):
            raise self._malformed(
                "name", "want 1 to 64 letters, digits, _, . or -, not starting with . or -"
            )
        if self.name.partition(".")[0].lower() in _NOT_AGENTS and "." in self.name:
            raise self._malformed(
                "name", "route.… and rail.… are what the node's own secrets are for"
            )

    def _check_number(self, key: str, value: float, low: float, high: float) -> None:
        # Written so that a NaN fails it too.
        if not low <= value <= high:
            raise self._malformed(key, f"want {low} to {high}, not {value}")

    def _check_filesystem(self) -> None:
        if len(self.filesystem_allowed) > ALLOWED_MAX:
            raise self._malformed("filesystem.allowed", f"more than {ALLOWED_MAX} paths")
        names: set[str] = set()
        for path in self.filesystem_allowed:
            parts = PurePosixPath(path).parts
            if not path.startswith("/") or "\0" in path or ".." in parts:
                raise self._malformed("filesystem.allowed", f"want an absolute path, not {path!r}")
            if parts[1:2] and parts[1] in _NOT_FILES:
                raise self._malformed("filesystem.allowed", f"{path!r} holds no files")
            mount = mount_name(path)
            if mount in names:
                raise self._malformed(
                    "filesystem.allowed",
                    f"two paths end in {mount!r}, which is how agents see them",
                )
            names.add(mount)

    def _check_peers(self) -> None:
        if len(self.peers_allowed) > ALLOWED_MAX:
            raise self._malformed("peers.allowed", f"more than {ALLOWED_MAX} entries")

    def _malformed(self, key: str, why: str) -> MalformedAgentSpec:
        return MalformedAgentSpec(self.name, key=key, why=why)


def mount_name(path: str) -> str:
    """The name under which agents see the allowed directory `path`: its last component.

    >>> mount_name("/srv/data/shelf-1")
    'shelf-1'
    >>> mount_name("/")
    'root'
    """
    return PurePosixPath(path).name or "root"


def fingerprint(spec: AgentSpec) -> bytes:
    """The configuration as bytes: equal ones have equal bytes, in every run of every node."""
    return _plain(spec).encode()


def _plain(value: object) -> str:
    match value:
        case _ if is_dataclass(value) and not isinstance(value, type):
            names = (
                f"{field.name}={_plain(getattr(value, field.name))}" for field in fields(value)
            )
            return f"{type(value).__name__}({','.join(names)})"
        case Mapping():
            return (
                "{" + ",".join(sorted(f"{_plain(k)}:{_plain(v)}" for k, v in value.items())) + "}"
            )
        case frozenset():
            return "{" + ",".join(sorted(map(_plain, value))) + "}"
        case tuple():
            return "(" + ",".join(map(_plain, value)) + ")"
        case _:
            return repr(value)
