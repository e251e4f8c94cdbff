"""Only a file that its owner meant is read, and paths are relative to it."""

from pathlib import Path

import pytest

from akshi_mesh.config.errors import ConfigError, ConfigUnreadable
from akshi_mesh.config.load import load_config, placed
from akshi_mesh.config.model import Config

AGENT = '[[agents]]\nname = "a"\nwasm_path = "agents/a.wasm"\n'


def write(directory: Path, text: str) -> Path:
    (directory / "agents").mkdir()
    (directory / "agents" / "a.wasm").write_bytes(b"")
    path = directory / "runtime.toml"
    path.write_text(text)
    return path


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, AGENT), home=tmp_path / "home")
    assert config.agents[0].wasm_path == str(tmp_path / "agents" / "a.wasm")
    assert config.source == str(tmp_path / "runtime.toml")


def test_a_file_where_one_happens_to_be_is_never_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could grant capabilities to agents that came with somebody else's repository."""
    write(tmp_path, AGENT)
    monkeypatch.chdir(tmp_path)
    assert load_config(None, home=tmp_path / "home").agents == ()
    assert load_config(None, home=tmp_path / "home").source is None
    assert len(load_config(None, home=tmp_path).agents) == 1


def test_a_file_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, AGENT)
    path.chmod(0o646)
    with pytest.raises(ConfigUnreadable) as refused:
        load_config(path, home=tmp_path)
    assert refused.value.hint == f"chmod o-w {path}"


def test_a_file_that_is_not_there_or_no_text_is_said_as_such(tmp_path: Path) -> None:
    with pytest.raises(ConfigUnreadable, match="no such file"):
        load_config(tmp_path / "none.toml", home=tmp_path)
    with pytest.raises(ConfigUnreadable, match="is a directory"):
        load_config(tmp_path, home=tmp_path)
    path = tmp_path / "x.toml"
    path.write_bytes(b"# fine\n# \xff\n")
    with pytest.raises(ConfigError, match=r"x\.toml line 2: not utf-8"):
        load_config(path, home=tmp_path)


def test_the_defaults_are_safe(tmp_path: Path) -> None:
    config = load_config(None, home=tmp_path)
    assert str(config.mesh.listen) == "127.0.0.1:4820"
    assert isinstance(config, Config)
    assert config.agents == ()


def test_the_last_part_of_a_path_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "data" / "v3").mkdir(parents=True)
    (tmp_path / "shelf").symlink_to("data/v3")
    (tmp_path / "up").symlink_to("data")
    assert placed("shelf", base=tmp_path) == str(tmp_path / "shelf")
    assert placed("up/v3", base=tmp_path) == str(tmp_path / "data" / "v3")
    assert placed("data/../shelf", base=tmp_path) == str(tmp_path / "shelf")
    assert placed("data/..", base=tmp_path) == str(tmp_path)
    assert placed("/srv/x", base=tmp_path) == "/srv/x"
    assert placed("~/x", base=tmp_path) == str(Path("~/x").expanduser())
