"""What SQLite's failures mean to us: errors that say whose turn it is."""

import contextlib
import errno

import apsw

from sync.errors import (
    DatabaseDamaged,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnreadable,
)

_PRIMARY = 0xFF  # SQLite's result codes: the low byte is the family
_FAMILIES: dict[int, type[StoreError]] = {
    apsw.SQLITE_FULL: StoreFull,
    apsw.SQLITE_READONLY: StoreReadOnly,
    apsw.SQLITE_PERM: StoreReadOnly,
    apsw.SQLITE_BUSY: StoreBusy,
    apsw.SQLITE_CORRUPT: DatabaseDamaged,
    apsw.SQLITE_NOTADB: DatabaseDamaged,
    apsw.SQLITE_IOERR: StoreUnreadable,
    apsw.SQLITE_CANTOPEN: StoreUnreadable,
    apsw.SQLITE_NOMEM: StoreUnreadable,
}
_DAMAGED = {apsw.SQLITE_IOERR_DATA, apsw.SQLITE_IOERR_SHORT_READ, apsw.SQLITE_IOERR_CORRUPTFS}
_READ_ONLY_ERRNO = {errno.EROFS, errno.EACCES, errno.EPERM}
_FULL_ERRNO = {errno.ENOSPC, errno.EDQUOT}


def explained(error: apsw.Error, where: apsw.Connection | str) -> Exception:
    """The `StoreError` that `error` means, or `error` itself if it is a bug of ours."""
    path = where if isinstance(where, str) else where.filename or ":memory:"
    extended = getattr(error, "extendedresult", 0)
    if extended in _DAMAGED:
        return DatabaseDamaged(path, "a page does not match its checksum")
    family = _FAMILIES.get(getattr(error, "result", extended & _PRIMARY))
    if family is None:
        return error
    if family is StoreUnreadable and not isinstance(where, str):
        # SQLite says "disk I/O error" for several things; the system knows which.
        with contextlib.suppress(apsw.Error):
            family = by_errno(where.system_errno, family)
    return family(path, str(error).lower())


def by_errno(number: int, otherwise: type[StoreError]) -> type[StoreError]:
    if number in _FULL_ERRNO:
        return StoreFull
    return StoreReadOnly if number in _READ_ONLY_ERRNO else otherwise
