"""What a child gets cannot be changed after it was checked."""

import mmap
import os
import sys

import pytest

from sandbox.host.memfile import Memfile

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="seals are Linux only")


def test_a_memfile_is_read_and_never_written_again() -> None:
    with Memfile(b"machine code") as sealed:
        assert os.pread(sealed.descriptor, 100, 0) == b"machine code"
        with pytest.raises(PermissionError):
            os.pwrite(sealed.descriptor, b"x", 0)
        for length in (0, 100):
            with pytest.raises(PermissionError):
                os.truncate(sealed.descriptor, length)
        with pytest.raises(PermissionError):
            mmap.mmap(sealed.descriptor, 4)
        assert not os.get_inheritable(sealed.descriptor)
