"""What SQLite is taught beyond its own: pages with checksums, and distances of vectors."""

import apsw
import apsw.sqlite_extra

from sync.errors import StoreUnreadable


def load_checksums() -> None:
    """Register the checksumming VFS; it stays for the life of the process."""
    if "cksmvfs" not in apsw.vfs_names():
        loader = apsw.Connection(":memory:")
        apsw.sqlite_extra.load(loader, "cksumvfs")
        loader.close()


def load_vectors(connection: apsw.Connection, path: str) -> None:
    """Give `connection` the functions of sqlite-vec.

    Raises:
        StoreUnreadable: it is not installed, or not for this machine.
    """
    try:
        import sqlite_vec

        connection.enable_load_extension(True)
        try:
            connection.load_extension(sqlite_vec.loadable_path())
        finally:
            connection.enable_load_extension(False)
    except (ImportError, apsw.Error) as failure:
        why = f"no search by meaning without sqlite-vec: {str(failure).lower()}"
        raise StoreUnreadable(path, why) from failure
