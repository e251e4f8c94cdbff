"""runtime.toml from the disk: found, trusted, read."""

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from akshi_mesh.config.errors import ConfigError, ConfigUnreadable, Problem
from akshi_mesh.config.model import Config, SandboxConfig, SandboxLevel
from akshi_mesh.config.read import CONFIG_CHARS_MAX, read_config

FILE_NAME = "runtime.toml"


def load_config(path: Path | None, *, home: Path) -> Config:
    """The configuration at `path`, else the one in `home`, else the defaults.

    A file in the working directory is never taken unasked: it would grant capabilities to
    agents that came with somebody else's repository.

    Raises:
        ConfigUnreadable: `path` does not exist, or others may write it.
        ConfigError: what is in it is no configuration.
    """
    if path is None:
        path = home / FILE_NAME
        if not path.exists():
            return Config(sandbox=SandboxConfig(_minimum_here()))
    return read_config(
        _read_text(path),
        file=path.name,
        files=Disk(path.absolute().parent),
        source=str(path.absolute()),
        minimum=_minimum_here(),
    )


@dataclass(frozen=True, slots=True)
class Disk:
    """The files beside a configuration."""

    base: Path

    def place(self, written: str) -> str:
        return placed(written, base=self.base)

    def is_file(self, path: str) -> bool:
        return Path(path).is_file()

    def is_directory(self, path: str) -> bool:
        return Path(path).is_dir()


def placed(written: str, *, base: Path) -> str:
    """`written` as an absolute path, relative to `base`, its last part kept as it is.

    Agents see that last part as the name of the directory, so a link in that place keeps
    the name its owner gave it; everything above is resolved once, now.
    """
    path = base / Path(written).expanduser() if written.startswith("~/") else base / written
    name = path.name
    if name in ("", ".", ".."):
        return os.path.realpath(path)
    return str(Path(os.path.realpath(path.parent)) / name)


def _minimum_here() -> SandboxLevel:
    return "jail" if sys.platform == "linux" else "process"


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno())
            data = file.read(4 * CONFIG_CHARS_MAX + 1)
    except FileNotFoundError as failure:
        raise ConfigUnreadable(f"{path}: no such file") from failure
    except OSError as failure:
        raise ConfigUnreadable(f"{path}: {(failure.strerror or 'unreadable').lower()}") from failure
    if mode.st_mode & stat.S_IWOTH:
        raise ConfigUnreadable(
            f"{path}: everybody may write it, and it says what agents may do",
            hint=f"chmod o-w {path}",
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as failure:
        line = data.count(b"\n", 0, failure.start) + 1
        raise ConfigError([Problem(path.name, line, "not utf-8")]) from failure
