"""One node a home, and nobody else looks in."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from akshi_mesh.home import (
    SOCKET_PATH_BYTES_MAX,
    Home,
    HomeBusy,
    HomeMissing,
    HomeUnsafe,
    HomeUnusable,
)
from identity.errors import UnsafeFile


@pytest.fixture
def home(tmp_path: Path) -> Home:
    tmp_path.chmod(0o700)
    made = Home(tmp_path / "home", runtime_dir=tmp_path)
    made.create()
    return made


@pytest.mark.parametrize(
    ("typed", "environ", "found"),
    [
        ("/typed", {"AKSHI_HOME_DIR": "/named", "XDG_DATA_HOME": "/data"}, "/typed"),
        (None, {"AKSHI_HOME_DIR": "/named", "XDG_DATA_HOME": "/data"}, "/named"),
        (None, {"AKSHI_HOME_DIR": "", "XDG_DATA_HOME": "/data"}, "/data/akshi"),
        (None, {"XDG_DATA_HOME": "relative"}, str(Path("~/.local/share/akshi").expanduser())),
    ],
)
def test_what_is_typed_wins_then_what_is_named(
    typed: str | None, environ: dict[str, str], found: str
) -> None:
    assert Home.find(Path(typed) if typed else None, environ).path == Path(found)


def test_a_new_home_is_closed_to_others(home: Home) -> None:
    old = os.umask(0)
    try:
        home.create()
    finally:
        os.umask(old)
    for path in (home.path, home.security, home.run_path, home.cache_path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_home_in_a_repository_is_not_committed(home: Home) -> None:
    home.create()
    home.create()
    assert (home.path / ".gitignore").read_text() == "*\n"


def test_a_home_knows_the_configuration_of_its_last_run(home: Home, tmp_path: Path) -> None:
    home.create()
    assert home.last_config() is None
    config = tmp_path / "some.toml"
    config.touch()
    home.remember_config(str(config))
    assert home.last_config() == config
    config.unlink()
    assert home.last_config() is None
    home.remember_config(None)
    assert home.last_config() is None


@pytest.mark.parametrize("part", ["", "security", "run", "cache"])
def test_a_home_that_others_can_enter_is_refused(home: Home, part: str) -> None:
    path = home.path / part
    path.chmod(0o750)
    with pytest.raises(HomeUnsafe) as refused:
        home.check()
    assert refused.value.hint == f"chmod 700 {path}"
    assert refused.value.exit_code == 3


def test_no_home_is_said_as_such(tmp_path: Path) -> None:
    with pytest.raises(HomeMissing) as missing:
        Home(tmp_path / "none").check()
    assert missing.value.hint == "akshi-node init"


def test_a_place_that_cannot_be_a_home_is_said_as_such(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeUnusable, match="file exists"):
        Home(tmp_path / "file" / "home").create()


def test_the_second_process_is_refused_and_told_who_is_first(home: Home) -> None:
    with home.lock(), pytest.raises(HomeBusy) as busy, home.lock():
        pass
    assert busy.value.pid == os.getpid()
    assert busy.value.exit_code == 4
    with home.lock():
        pass


def test_a_moment_of_another_command_is_waited_for(home: Home) -> None:
    held, released = threading.Event(), threading.Event()

    def hold() -> None:
        with home.lock():
            held.set()
            released.wait(5)

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(5)
    assert home.is_held()
    with pytest.raises(HomeBusy), home.lock():
        pass
    threading.Timer(0.05, released.set).start()
    with home.lock(patience_s=5):
        assert home.is_held()
    other.join()
    assert not home.is_held()


def test_the_lock_ends_with_its_process_however_it_ends(home: Home) -> None:
    program = (
        "import sys; from pathlib import Path; from akshi_mesh.home import Home\n"
        "with Home(Path(sys.argv[1])).lock(): print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(home.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(HomeBusy) as busy, home.lock():
            pass
        assert busy.value.pid == child.pid
        child.kill()
        child.wait()
    with home.lock():
        pass


def test_the_token_is_drawn_once_and_private(home: Home) -> None:
    token = home.api_token()
    assert len(token) >= 43
    assert home.api_token() == token
    assert stat.S_IMODE(home.token_path.stat().st_mode) == 0o600
    home.token_path.chmod(0o644)
    with pytest.raises(UnsafeFile):
        home.api_token()


def test_a_deep_home_has_its_socket_where_names_are_short(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    one = Home(deep, runtime_dir=tmp_path)
    assert one.socket_path.parent == tmp_path
    (deep / "other").mkdir()
    assert Home(deep / "other", runtime_dir=tmp_path).socket_path != one.socket_path
    with pytest.raises(HomeUnusable, match=f"longer than {SOCKET_PATH_BYTES_MAX} bytes"):
        _ = Home(deep).socket_path
    short = Home(Path("/h"), runtime_dir=tmp_path)
    assert short.socket_path == Path("/h/run/api.sock")


def test_a_runtime_directory_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    """Whoever can write there could listen in our place, and be shown the token."""
    tmp_path.chmod(0o777)
    deep = Home(tmp_path / ("d" * SOCKET_PATH_BYTES_MAX), runtime_dir=tmp_path)
    with pytest.raises(HomeUnsafe, match="others can look into it"):
        _ = deep.socket_path


def test_a_lock_that_is_a_link_is_not_followed(home: Home, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    home.lock_path.symlink_to(victim)
    with pytest.raises(HomeUnusable), home.lock():
        pass
    assert victim.read_text() == "precious"
