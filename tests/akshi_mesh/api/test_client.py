"""The token is shown to our own processes only."""

import os
import socket
from pathlib import Path

import pytest

from akshi_mesh.api.client import Client, NoNode


def test_the_token_is_not_shown_to_another_users_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s"
    ours = os.geteuid()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        monkeypatch.setattr(os, "geteuid", lambda: ours + 1)
        with pytest.raises(NoNode, match="another user"):
            Client(path, token="secret").whoami()
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.recv(4_096) == b""
