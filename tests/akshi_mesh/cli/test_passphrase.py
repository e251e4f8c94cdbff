"""A passphrase in a file: the file is ours alone, the directory may be anybody's."""

from pathlib import Path

import pytest

from akshi_mesh.cli.passphrase import FILE_VARIABLE, ask, ask_new
from akshi_mesh.errors import OperatorError


def test_a_file_of_ours_in_an_open_directory_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o755)
    file = _file(tmp_path, "open sesame\n", 0o600, monkeypatch)
    assert ask() == ask_new() == "open sesame"
    file.chmod(0o640)
    with pytest.raises(OperatorError, match="others can read or write it") as refused:
        ask()
    assert refused.value.hint == f"chmod 600 {file}"


def test_what_cannot_be_a_passphrase_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = _file(tmp_path, "\n", 0o600, monkeypatch)
    with pytest.raises(OperatorError, match="an empty passphrase"):
        ask_new()
    file.unlink()
    with pytest.raises(OperatorError, match="no such file"):
        ask()
    file.mkdir()
    with pytest.raises(OperatorError, match="not a regular file"):
        ask()


def _file(directory: Path, text: str, mode: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = directory / "passphrase"
    file.write_text(text)
    file.chmod(mode)
    monkeypatch.setenv(FILE_VARIABLE, str(file))
    return file
