"""Where a node keeps what is its own, and how it makes sure that it is the only one there.

$AKSHI_HOME_DIR, else $XDG_DATA_HOME/akshi, else ~/.local/share/akshi        0700
  security/     node_key.pem, trust, api.token, revocation.cbor             0700, files 0600
  run/          lock (flock), api.sock, config                              0700
  cache/        compiled agents
  node.db       tasks, journals, audit
  agents/       NAME.db, the database of each agent that has one             0700, files 0600
  reserve       room for what must be written on a full disk
  runtime.toml  the configuration, unless -c names another
  .gitignore    of everything here
"""

import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from akshi_mesh.errors import Refused, Unreachable, UsageError

SOCKET_PATH_BYTES_MAX = 100  # sun_path holds 108 on Linux, 104 on macOS
LOCK_RETRY_S = 0.01
TOKEN_BYTES = 32
TOKEN_BYTES_MAX = 1_024
_PRIVATE_DIRECTORY = 0o700


class HomeMissing(UsageError):
    """There is no node here yet."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"no node at {path}", hint="akshi-node init")


class HomeUnsafe(Refused):
    """Others can look into the home, or it is not ours."""


class HomeUnusable(UsageError):
    """The disk does not let us keep a home there."""


class HomeBusy(Unreachable):
    """Another process holds the lock of this home."""

    def __init__(self, path: Path, pid: int | None) -> None:
        who = "another process" if pid is None else f"process {pid}"
        super().__init__(f"{who} runs the node at {path}", hint="akshi-node stop")
        self.pid = pid


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of one home; nothing is touched before `create`, `check` or `lock`."""

    path: Path
    runtime_dir: Path | None = None  # $XDG_RUNTIME_DIR

    @classmethod
    def find(cls, typed: Path | None, environ: Mapping[str, str]) -> Self:
        """The home that was typed, else the environment's, else the one of this user."""
        named = environ.get("AKSHI_HOME_DIR", "")
        data = environ.get("XDG_DATA_HOME", "")
        if typed is not None:
            path = typed
        elif named:
            path = Path(named)
        elif data.startswith("/"):
            path = Path(data) / "akshi"
        else:
            path = Path("~/.local/share/akshi").expanduser()
        runtime = environ.get("XDG_RUNTIME_DIR", "")
        return cls(path.absolute(), Path(runtime) if runtime.startswith("/") else None)

    @property
    def security(self) -> Path:
        return self.path / "security"

    @property
    def token_path(self) -> Path:
        return self.security / "api.token"

    @property
    def revocation_path(self) -> Path:
        return self.security / "revocation.cbor"

    @property
    def run_path(self) -> Path:
        return self.path / "run"

    @property
    def lock_path(self) -> Path:
        return self.run_path / "lock"

    @property
    def last_config_path(self) -> Path:
        """Names the configuration that the node runs with, or ran with last."""
        return self.run_path / "config"

    @property
    def cache_path(self) -> Path:
        return self.path / "cache"

    @property
    def database_path(self) -> Path:
        return self.path / "node.db"

    @property
    def databases_path(self) -> Path:
        return self.path / "agents"

    @property
    def config_path(self) -> Path:
        return self.path / "runtime.toml"

    @property
    def socket_path(self) -> Path:
        """Where the API listens: in the home, or where short names are if it lies too deep."""
        path = self.run_path / "api.sock"
        if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
            return path
        if self.runtime_dir is None:
            raise HomeUnusable(
                f"{path}: longer than {SOCKET_PATH_BYTES_MAX} bytes, too long for a socket",
                hint="set XDG_RUNTIME_DIR, or AKSHI_HOME_DIR to a shorter path",
            )
        try:
            _check_private(self.runtime_dir, self.runtime_dir.stat())
        except OSError as failure:
            raise _unusable(self.runtime_dir, failure) from failure
        # One home, one name: two homes never share a socket.
        return self.runtime_dir / f"akshi-{self.path.stat().st_dev:x}-{self.path.stat().st_ino:x}"

    @property
    def exists(self) -> bool:
        return self.security.is_dir()

    def create(self) -> None:
        """Make the directories, readable by their owner only; those that exist are checked."""
        try:
            # Parents are the user's own; only the home itself is private.
            self.path.parent.mkdir(parents=True, exist_ok=True)
            for path in self._directories():
                path.mkdir(mode=_PRIVATE_DIRECTORY, exist_ok=True)
            ignored = self.path / ".gitignore"
            if not ignored.exists():
                ignored.write_text("*\n")  # a home inside a repository is never committed
        except OSError as failure:
            raise _unusable(self.path, failure) from failure
        self.check()

    def check(self) -> None:
        """Raise unless the home is there, ours, and closed to others."""
        if not self.exists:
            raise HomeMissing(self.path)
        for path in self._directories():
            try:
                path.mkdir(mode=_PRIVATE_DIRECTORY, exist_ok=True)
                state = path.stat()
            except OSError as failure:
                raise _unusable(path, failure) from failure
            _check_private(path, state)

    def _directories(self) -> tuple[Path, ...]:
        return (self.path, self.security, self.run_path, self.cache_path)

    def api_token(self) -> str:
        """What a caller of the API must show; drawn once a home, readable by its owner only."""
        from identity.errors import FileExists, FileMissing
        from identity.files import read_private, write_private

        try:
            return read_private(self.token_path, bytes_max=TOKEN_BYTES_MAX).decode("ascii").strip()
        except FileMissing:
            token = secrets.token_urlsafe(TOKEN_BYTES)
        try:
            write_private(self.token_path, token.encode() + b"\n", replace=False)
        except FileExists:  # another command was quicker; its token counts
            return self.api_token()
        return token

    @contextmanager
    def lock(self, *, patience_s: float = 0.0) -> Iterator[None]:
        """Be the only process that runs this node or changes its files.

        Commands hold it for a moment now and then; who means to stay gives `patience_s`.

        Raises:
            HomeBusy: another process is. Its number is in the lock file.
        """
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self.lock_path, flags, 0o600)
        except OSError as failure:
            raise _unusable(self.lock_path, failure) from failure
        give_up_at = time.monotonic() + patience_s
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as held:
                    if time.monotonic() >= give_up_at:
                        raise HomeBusy(self.path, self.lock_holder()) from held
                    time.sleep(LOCK_RETRY_S)
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            try:
                yield
            finally:
                os.truncate(descriptor, 0)  # nobody holds it: see `is_held`
        finally:
            # Closing gives up the lock; the file stays, so that nobody locks a deleted one.
            os.close(descriptor)

    def remember_config(self, source: str | None) -> None:
        """For who asks later what this node runs with. The lock is held."""
        # Only a convenience: a disk that takes nothing is told where it matters.
        with suppress(OSError):
            self.last_config_path.write_bytes(os.fsencode(source or ""))

    def last_config(self) -> Path | None:
        """The configuration of the last `run`, if it is still there."""
        try:
            path = Path(os.fsdecode(self.last_config_path.read_bytes()))
        except OSError:
            return None
        return path if path.is_absolute() and path.is_file() else None

    def is_held(self) -> bool:
        """Whether the process named in the lock file lives. Does not touch the lock itself:
        who tries it for a moment can make a node that starts in that moment fail.
        """
        pid = self.lock_holder()
        if pid is None:
            return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def lock_holder(self) -> int | None:
        """The process that wrote itself into the lock file last; it may be gone."""
        try:
            text = self.lock_path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
        return int(text) if text.isdigit() and len(text) <= len("4194304") else None


def _check_private(path: Path, state: os.stat_result) -> None:
    if state.st_uid != os.geteuid():
        raise HomeUnsafe(f"{path}: belongs to another user")
    if stat.S_IMODE(state.st_mode) & 0o077:
        raise HomeUnsafe(f"{path}: others can look into it", hint=f"chmod 700 {path}")


def _unusable(path: Path, failure: OSError) -> HomeUnusable:
    why = (failure.strerror or "unusable").lower()
    return HomeUnusable(f"{path}: {why}", hint="choose another home: --home DIR or AKSHI_HOME_DIR")
