"""A text that is given as an argument, or on stdin where `-` stands."""

import sys

from akshi_mesh.errors import UsageError

STDIN_BYTES_MAX = 1 << 20  # no task and no entry is near that; what is longer is a wrong file


def given_text(text: str) -> str:
    """The words of an argument.

    Raises:
        UsageError: not UTF-8, or far too long.
    """
    data = sys.stdin.buffer.read(STDIN_BYTES_MAX + 1) if text == "-" else None
    if data is None:
        data = text.encode("utf-8", "surrogateescape")
    if len(data) > STDIN_BYTES_MAX:
        raise UsageError(f"the text has more than {STDIN_BYTES_MAX} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as failure:
        raise UsageError(f"the text is not utf-8: byte {failure.start + 1}") from failure
