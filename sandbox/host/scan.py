"""What this host can isolate with: read once at start, logged, and shown by `doctor`."""

import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from sandbox.errors import JailMissing
from sandbox.worker import landlock, seccomp

Level = Literal["jail", "process"]


@dataclass(frozen=True, slots=True)
class HostReport:
    """The isolation this host gives.

    `level` is "jail" where every system call but the worker's few ends it; "process"
    where a worker is only a process of its own, with limits.
    """

    system: str
    kernel: str
    machine: str
    level: Level
    why: str  # what `level` rests on, or what is missing, for people
    seccomp: bool
    landlock_abi: int  # 0: not in this kernel
    user_namespaces: bool
    kvm: bool
    wasmtime: str

    def require(self, minimum: Level) -> None:
        """Refuse to go below what the configuration asks for.

        Raises:
            JailMissing: `minimum` is "jail" and this host has none.
        """
        if minimum == "jail" and self.level != "jail":
            raise JailMissing(why=self.why)


def scan() -> HostReport:
    """Look at this host. Changes nothing; about a millisecond."""
    jailed = seccomp.available()
    abi = landlock.abi()
    return HostReport(
        system=platform.system(),
        kernel=platform.release(),
        machine=platform.machine(),
        level="jail" if jailed else "process",
        why=_why(jailed=jailed, abi=abi),
        seccomp=jailed,
        landlock_abi=abi,
        user_namespaces=_user_namespaces(),
        kvm=os.access("/dev/kvm", os.R_OK | os.W_OK),
        wasmtime=metadata.version("wasmtime"),
    )


def _why(*, jailed: bool, abi: int) -> str:
    if jailed:
        behind = f"landlock ABI {abi}" if abi else "no landlock in this kernel"
        return f"seccomp allowlist, {behind}, resource limits"
    if platform.system() != "Linux":
        return f"no jail on {platform.system()}"
    if seccomp.table() is None:
        return f"no list of system calls for {platform.machine()}"
    return "this kernel or container does not allow seccomp filters"


def _user_namespaces() -> bool:
    limit = Path("/proc/sys/user/max_user_namespaces")
    switch = Path("/proc/sys/kernel/unprivileged_userns_clone")  # Debian and Ubuntu
    try:
        allowed = int(limit.read_text()) > 0
        return allowed and (not switch.exists() or switch.read_text().strip() != "0")
    except OSError:
        return False
