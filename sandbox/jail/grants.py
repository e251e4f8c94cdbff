"""Which files a program sees: the paths of its policy, resolved, with what each allows."""

import os
from typing import Final, NamedTuple

from sandbox.jail.errors import CannotJail
from sandbox.jail.policy import JailPolicy
from sandbox.worker import landlock

# What every program of this system needs to start, where it is there.
_SYSTEM: Final = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs",
    "/usr/share/ca-certificates",
)
_FOR_NETWORK: Final = ("/etc/resolv.conf", "/etc/hosts", "/etc/services", "/etc/gai.conf")
_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


class Grant(NamedTuple):
    """`path` is resolved; `links` are the names by which it was asked for."""

    path: str
    rights: int
    links: tuple[str, ...]

    @property
    def may_write(self) -> bool:
        return self.rights == landlock.CHANGE

    @property
    def is_device(self) -> bool:
        return self.path in _DEVICES


def grants(policy: JailPolicy) -> list[Grant]:
    """What is granted, shorter paths first.

    What lies below a path that may be written is left out: the program could have put a
    link there, to anything, before it was started this time.

    Raises:
        CannotJail: a path is not there, or would open one of `policy.hidden`.
    """
    asked = [(path, landlock.RUN) for path in _SYSTEM if os.path.exists(path)]
    if policy.network:
        asked += [(path, landlock.READ) for path in _FOR_NETWORK if os.path.exists(path)]
    asked += [(path, landlock.CHANGE) for path in _DEVICES if os.path.exists(path)]
    asked += [(path, landlock.RUN) for path in policy.run]
    asked += [(path, landlock.READ) for path in policy.read]
    asked += [(path, landlock.CHANGE) for path in policy.write]
    hidden = [os.path.realpath(path) for path in policy.hidden]
    writable = [os.path.realpath(path) for path in policy.write]
    found: dict[str, Grant] = {}
    for path, rights in asked:
        if _passes_through(path, writable):
            continue
        real = os.path.realpath(path)
        if not os.path.exists(real):
            raise CannotJail(f"nothing at {path}")
        if any(_is_below(real, secret) or _is_below(secret, real) for secret in hidden):
            raise CannotJail(f"{path} would open what belongs to the node")
        before = found.get(real, Grant(real, 0, ()))
        links = (*before.links, path) if path != real else before.links
        # A path that may be written is not executed, however often it is named.
        both = landlock.CHANGE if landlock.CHANGE in (before.rights, rights) else rights
        found[real] = Grant(real, both | (before.rights if both != landlock.CHANGE else 0), links)
    return sorted(found.values(), key=lambda grant: (grant.path.count("/"), grant.path))


def _passes_through(path: str, writable: list[str]) -> bool:
    """Whether a name on the way to `path` lies below one of `writable`."""
    name = os.path.abspath(path)
    while name != "/":
        parent, last = os.path.split(name)
        place = os.path.join(os.path.realpath(parent), last)
        if any(place != above and _is_below(place, above) for above in writable):
            return True
        name = parent
    return False


def is_covered(grant: Grant, earlier: list[Grant]) -> bool:
    """Whether one of `earlier` shows the files of `grant` already, and no less freely."""
    return any(
        _is_below(grant.path, other.path) and not (grant.may_write and not other.may_write)
        for other in earlier
    )


def _is_below(path: str, above: str) -> bool:
    return path == above or path.startswith(above.rstrip("/") + "/")
