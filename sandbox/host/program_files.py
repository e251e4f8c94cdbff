"""Which files a program brings along: itself, its interpreter, and what that one runs from.

Guessing wide would open a home to a program that lies in it, so nothing but what is
known to be part of a program is named; the rest a policy has to name.
"""

from pathlib import Path
from typing import Final

_LIBRARIES: Final = ("lib", "lib64")
_LINKS_MAX: Final = 40  # as in the kernel
_SHEBANG_BYTES_MAX: Final = 256  # what the kernel reads of it


def files_of(program: str) -> tuple[str, ...]:
    """Paths that `program` needs to be executed, beside the system's own."""
    found: list[Path] = []
    waiting = [Path(program)]
    while waiting:
        executable = waiting.pop()
        if executable in found:
            continue
        found += _names(executable)
        waiting += _interpreter(executable)
        for path in {executable, executable.resolve()}:
            found += _libraries(path)
        home = _home_of(executable)
        if home is not None:
            waiting.append(home)
    return tuple(dict.fromkeys(str(path) for path in found))


def _names(executable: Path) -> list[Path]:
    """It, and every link on the way to the file that it is."""
    names = [executable]
    while len(names) < _LINKS_MAX and names[-1].is_symlink():
        target = names[-1].parent / names[-1].readlink()
        names.append(target.parent.resolve() / target.name)
    return names


def _libraries(executable: Path) -> list[Path]:
    """Of a virtual environment, or of a Python or Node that was installed on its own."""
    if executable.parent.name != "bin":
        return []
    prefix = executable.parent.parent
    settings = prefix / "pyvenv.cfg"
    if settings.is_file():
        return [settings, executable.parent, *(p for n in _LIBRARIES if (p := prefix / n).is_dir())]
    libraries = prefix / "lib"
    if (libraries / "node_modules").is_dir() or any(libraries.glob("python3.*")):
        return [executable.resolve(), libraries]
    return []


def _home_of(executable: Path) -> Path | None:
    """The Python that a virtual environment was made from."""
    settings = executable.parent.parent / "pyvenv.cfg"
    if executable.parent.name != "bin" or not settings.is_file():
        return None
    for line in settings.read_text(errors="replace").splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "home":
            return Path(value.strip()) / executable.resolve().name
    return None


def _interpreter(executable: Path) -> list[Path]:
    """The program that a script names in its first line."""
    try:
        with executable.open("rb") as script:
            start = script.read(_SHEBANG_BYTES_MAX)
    except OSError:  # not there, or not ours to read: the launcher will say so
        return []
    if not start.startswith(b"#!"):
        return []
    words = start[2:].split(b"\n", 1)[0].split()
    return [Path(words[0].decode(errors="replace"))] if words else []
