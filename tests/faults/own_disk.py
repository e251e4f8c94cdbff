"""A small disk of one's own: a tmpfs in a mount namespace that only the processes in it see.

own_disk.py hold DIRECTORY KIB     makes it, says "held", then obeys lines: ro, rw
own_disk.py enter PID -- COMMAND…  runs a command of ours within the namespace of PID
"""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

CLONE_NEWNS = 0x0002_0000
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def hold(directory: str, kib: int) -> None:
    """What lies in `directory` is copied onto the disk, which then covers it."""
    _check(_libc.unshare(CLONE_NEWNS))
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    before = f"{directory}.before"
    shutil.move(directory, before)
    Path(directory).mkdir(mode=0o700)
    options = f"size={kib}k,mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", directory], check=True)
    shutil.copytree(before, directory, dirs_exist_ok=True)
    print("held", flush=True)
    for line in sys.stdin:
        subprocess.run(["mount", "-o", f"remount,{line.strip()}", directory], check=True)
        print("done", flush=True)


def enter(pid: str, command: list[str]) -> None:
    with Path(f"/proc/{pid}/ns/mnt").open() as namespace:
        _check(_libc.setns(namespace.fileno(), CLONE_NEWNS))
    os.chdir("/")
    os.execv(command[0], command)


if __name__ == "__main__":
    if sys.argv[1] == "hold":
        hold(sys.argv[2], int(sys.argv[3]))
    else:
        enter(sys.argv[2], sys.argv[4:])
