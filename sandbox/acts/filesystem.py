"""Reading files below the allowed roots, and nothing else of the file system.

The kernel resolves the path (openat2: beneath the root, no symbolic link, no magic
link, no other mount), so there is no moment between a check and a use. A file is
opened first as a mere place (O_PATH), which wakes no device and waits for no pipe;
only a regular file is then opened for reading. A hard link is the file itself: whoever may
write into a shelf has put it there. Only a file of the node's home is known by any name.

These functions block; they are called in a thread.
"""

import base64
import ctypes
import errno
import heapq
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox import guest_json
from sandbox.errors import ActFailed
from sandbox.fault import FaultCode
from sandbox.guest_path import GuestPath

FILE_BYTES_MAX = 1 << 20
ANSWER_BYTES_MAX = 1 << 20
ENTRIES_SCANNED_MAX = 20_000  # of one directory: about 20 ms in a thread

_OPENAT2 = 437  # x86_64 and aarch64 alike
_RESOLVE = 0x01 | 0x02 | 0x04 | 0x08  # NO_XDEV, NO_MAGICLINKS, NO_SYMLINKS, BENEATH
_PLACE = getattr(os, "O_PATH", 0) | os.O_CLOEXEC


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


@dataclass(frozen=True, slots=True)
class Shelf:
    """One allowed root, and the real paths below it that no agent may see (the node's home)."""

    root: str
    hidden: Sequence[str] = ()

    def read(self, path: GuestPath) -> str:
        """The file as JSON: `{"text": …}` if it is UTF-8, else `{"base64": …}`.

        Raises:
            ActFailed: no such file, not a regular one, too large, or not reachable from the root.
        """
        with _saying_why(path), self._place(path) as place:
            found = os.fstat(place)
            if not stat.S_ISREG(found.st_mode):
                raise ActFailed(FaultCode.INVALID, f"{path} is no regular file")
            if found.st_nlink > 1 and self._is_hidden(found):
                raise ActFailed(FaultCode.NOT_ALLOWED, f"{path} belongs to the node itself")
            data = _read_whole(place, path)
        try:
            answer = guest_json.write({"text": data.decode()})
        except UnicodeDecodeError:
            answer = guest_json.write({"base64": base64.b64encode(data).decode()})
        if len(answer.encode()) > ANSWER_BYTES_MAX:
            raise ActFailed(FaultCode.INVALID, f"{path} does not fit into an answer of 1 MiB")
        return answer

    def list_files(self, path: GuestPath, *, after: str, limit: int) -> str:
        """Regular files and directories in order of name, after the name `after`, as JSON.

        Raises:
            ActFailed: no such directory, or one with more entries than we look through.
        """
        with _saying_why(path), self._place(path) as place:
            if not stat.S_ISDIR(os.fstat(place).st_mode):
                raise ActFailed(FaultCode.INVALID, f"{path} is no directory")
            directory = os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_DIRECTORY)
            try:
                names = self._names(directory, _real(place), path, after)
                # One more than asked for tells whether there is a next page.
                page = heapq.nsmallest(limit + 1, names)
                files = [_describe(name, directory) for name in page[:limit]]
            finally:
                os.close(directory)
        following = page[limit - 1] if len(page) > limit else None
        return guest_json.write(
            {"files": [file for file in files if file is not None], "next": following}
        )

    def _is_hidden(self, found: os.stat_result) -> bool:
        """Whether a file with several names has one of them where no agent may look."""
        for home in self.hidden:
            for folder, _, names in os.walk(home):
                for name in names:
                    with suppress(FileNotFoundError):
                        if os.path.samestat(found, (Path(folder) / name).lstat()):
                            return True
        return False

    @contextmanager
    def _place(self, path: GuestPath) -> Iterator[int]:
        root = os.open(self.root, _PLACE | os.O_DIRECTORY)
        try:
            place = _openat2(root, path.below)
        finally:
            os.close(root)
        try:
            real = _real(place)
            if any(real == home or real.startswith(f"{home}/") for home in self.hidden):
                raise ActFailed(FaultCode.NOT_ALLOWED, f"{path} belongs to the node itself")
            yield place
        finally:
            os.close(place)

    def _names(self, directory: int, real: str, path: GuestPath, after: str) -> list[str]:
        """What an agent can read, beyond `after`: regular files and directories it may see."""
        names: list[str] = []
        with os.scandir(directory) as entries:
            for scanned, entry in enumerate(entries, start=1):
                if scanned > ENTRIES_SCANNED_MAX:
                    raise ActFailed(
                        FaultCode.INVALID, f"{path} has more than {ENTRIES_SCANNED_MAX} entries"
                    )
                if entry.is_dir(follow_symlinks=False):
                    is_ours = f"{real}/{entry.name}" not in self.hidden
                else:
                    is_ours = entry.is_file(follow_symlinks=False)
                if is_ours and entry.name > after and _is_text(entry.name):
                    names.append(entry.name)
        return names


def list_shelves(names: Sequence[str], *, after: str, limit: int) -> str:
    """The allowed roots, as `Shelf.list_files` would list a directory of them."""
    page = sorted(name for name in names if name > after)
    files = [{"name": name, "kind": "directory", "bytes": 0} for name in page[:limit]]
    return guest_json.write(
        {"files": files, "next": page[limit - 1] if len(page) > limit else None}
    )


def _real(place: int) -> str:
    return str(Path(f"/proc/self/fd/{place}").readlink())


def _openat2(root: int, below: str) -> int:
    how = _OpenHow(flags=_PLACE, mode=0, resolve=_RESOLVE)
    place = int(
        _libc.syscall(
            ctypes.c_long(_OPENAT2),
            ctypes.c_int(root),
            ctypes.c_char_p(os.fsencode(below)),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
    )
    if place < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return place


def _read_whole(place: int, path: GuestPath) -> bytes:
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    file = os.open(f"/proc/self/fd/{place}", flags)
    try:
        data = bytearray()
        while chunk := os.read(file, FILE_BYTES_MAX + 1 - len(data)):
            data += chunk
            if len(data) > FILE_BYTES_MAX:
                raise ActFailed(FaultCode.INVALID, f"{path} is over {FILE_BYTES_MAX} bytes")
        return bytes(data)
    finally:
        os.close(file)


def _describe(name: str, directory: int) -> dict[str, object] | None:
    """Name, kind and size; None if it went away while we looked."""
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        return {"name": name, "kind": "directory", "bytes": 0}
    return {"name": name, "kind": "file", "bytes": found.st_size}


def _is_text(name: str) -> bool:
    """Whether a guest can say this name: bytes that are no UTF-8 become surrogates."""
    return name.isprintable() or not any("\ud800" <= character <= "\udfff" for character in name)


@contextmanager
def _saying_why(path: GuestPath) -> Iterator[None]:
    try:
        yield
    except OSError as failure:
        match failure.errno:
            case errno.ENOENT | errno.ENOTDIR:
                why, code = "does not exist", FaultCode.INVALID
            case errno.ELOOP:
                why, code = "is or passes a symbolic link", FaultCode.NOT_ALLOWED
            case errno.EXDEV:
                why, code = "leads out of its root or to another mount", FaultCode.NOT_ALLOWED
            case errno.EACCES | errno.EPERM:
                why, code = "may not be read by this node", FaultCode.NOT_ALLOWED
            case errno.ENOSYS:
                why, code = "needs openat2 (Linux 5.6)", FaultCode.UNAVAILABLE
            case _:
                why, code = f"cannot be read: {failure.strerror}", FaultCode.UNAVAILABLE
        raise ActFailed(code, f"{path} {why}") from failure
