"""A value comes from a terminal or from stdin, and the same words work with and without a node."""

import getpass
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from akshi_mesh.cli import passphrase
from akshi_mesh.cli.main import main
from akshi_mesh.cli.passphrase import ask_value
from akshi_mesh.errors import UsageError
from identity.files import create_node_key

VALUE = "planted-s3cret/value+42"


class Input(io.TextIOWrapper):
    """stdin with these bytes; a terminal if `shows` is not None."""

    def __init__(self, data: bytes, *, is_terminal: bool = False) -> None:
        super().__init__(io.BytesIO(data))
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


Type = Callable[[bytes], None]


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Type:
    def give(data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", Input(data))

    return give


@pytest.fixture
def typing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """A terminal on which these are typed; what it was asked."""

    def give(*lines: str) -> list[str]:
        asked: list[str] = []
        rest = list(lines)

        def answer(prompt: str) -> str:
            asked.append(prompt)
            return rest.pop(0)

        monkeypatch.setattr("sys.stdin", Input(b"", is_terminal=True))
        monkeypatch.setattr(passphrase.getpass, "getpass", answer)
        return asked

    return give


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_stdin_is_the_value_without_the_end_of_its_line(stdin: Type, end: bytes) -> None:
    stdin(VALUE.encode() + end)
    assert ask_value("token") == VALUE


def test_bytes_that_are_no_text_are_refused_without_being_repeated(stdin: Type) -> None:
    stdin(b"planted\xff\xfe")
    with pytest.raises(UsageError) as refused:
        ask_value("token")
    assert "planted" not in repr(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_a_terminal_is_asked_twice(typing: Callable[..., list[str]]) -> None:
    asked = typing(VALUE, VALUE)
    assert ask_value("token") == VALUE
    assert asked == ["value of token: ", "once more: "]
    typing(VALUE, "another")
    with pytest.raises(UsageError, match="differ"):
        ask_value("token")


def test_a_terminal_that_would_show_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import warnings

    def shows(prompt: str) -> str:
        warnings.warn("echo is on", getpass.GetPassWarning, stacklevel=1)
        return VALUE

    monkeypatch.setattr("sys.stdin", Input(b"", is_terminal=True))
    monkeypatch.setattr(passphrase.getpass, "getpass", shows)
    with pytest.raises(UsageError, match="would show"):
        ask_value("token")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir(mode=0o700)
    create_node_key(path)
    (path / "run").mkdir(mode=0o700)
    return path


Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(home: Path, capsys: pytest.CaptureFixture[str], stdin: Type) -> Typed:
    def run(*words: str, value: str = VALUE) -> tuple[int, str, str]:
        stdin(value.encode())
        code = main([*words, "--home", str(home)])
        out, err = capsys.readouterr()
        assert VALUE not in out + err
        return code, out, err

    return run


PLACE = ("--endpoint", "https://api.example.com/v1")


def test_a_life_of_a_secret_without_a_node(cli: Typed) -> None:
    assert cli("secrets", "list")[2].startswith("akshi-node: note: no secrets")
    code, out, err = cli("secrets", "set", "token", *PLACE, "--method", "GET", "--agent", "reader")
    assert (code, out) == (
        0,
        "kept: token for reader at https://api.example.com/v1, as Authorization\n",
    )
    assert "protects copies of the box" in err
    code, out, err = cli("secrets", "list")
    assert out.split() == [
        "token", "reader", "GET", "https://api.example.com/v1", "Authorization", "ready", "-",
        "0", "uses", "file",
    ]  # fmt: skip
    assert cli("secrets", "revoke", "token", "--agent", "reader")[1].endswith("(revoked)\n")
    assert "revoked for reader" in cli("secrets", "list")[1]
    assert cli("secrets", "restore", "token", "--agent", "reader")[0] == 0
    assert cli("secrets", "rotate", "token", value="another-long-value")[0] == 0
    code, out, err = cli("secrets", "list", "--json")
    row = json.loads(out)
    assert (row["name"], row["state"], row["key"]) == ("token", "ready", "file")
    assert cli("secrets", "rm", "token")[1] == "forgotten: token\n"
    assert cli("secrets", "rm", "token")[0] == 2


def test_a_place_that_the_configuration_names_needs_no_endpoint(cli: Typed, home: Path) -> None:
    (home / "runtime.toml").write_text('[[secrets]]\nname = "token"\nendpoint = "a.example"\n')
    assert "has no value" in cli("secrets", "list")[2]
    assert cli("secrets", "set", "token")[1].startswith("kept: token for every agent at https://a")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("set", "token"), "needs an endpoint"),
        (("set", "token", "--method", "GET"), "want an --endpoint"),
        (("set", "token", "--endpoint", "https://*.example"), "want one host"),
        (("set", "token", *PLACE, "--key", "tpm"), "--key wants"),
        (("set", "token", *PLACE, "--key", "keyring"), "keyring"),
        (("rotate", "token"), "no secret 'token'"),
        (("revoke", "token"), "no secret 'token'"),
    ],
)
def test_what_makes_no_sense_is_said(cli: Typed, words: tuple[str, ...], part: str) -> None:
    code, out, err = cli("secrets", *words)
    assert code in {2, 3}
    assert part in err
    assert out == ""


def test_every_change_is_in_the_audit_log_of_the_home(cli: Typed, home: Path) -> None:
    from akshi_mesh.audit.book import AuditBook
    from sync.store.database import Database

    cli("secrets", "set", "token", *PLACE)
    cli("secrets", "revoke", "token")
    database = Database.read_only(str(home / "node.db"))
    records = [record for _, record in AuditBook(database).tail(limit=10)]
    database.close()
    assert [(r.event, r.code, r.fact("subject")) for r in records] == [
        ("secret", "set", "token"),
        ("secret", "revoked", "token"),
    ]


@pytest.mark.parametrize("verb", ["set", "rotate"])
def test_a_value_that_is_typed_as_a_word_is_refused_and_not_repeated(
    home: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    code = main(["secrets", verb, "token", "s3cret-on-the-line", "--home", str(home)])
    told = capsys.readouterr()
    assert code == 2
    assert "s3cret" not in told.out + told.err
    assert "another value" in told.err


def test_a_home_that_holds_secrets_and_never_ran_has_no_journals(
    cli: Typed, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("secrets", "list")[0] == 0
    assert (home / "node.db").exists()
    assert main(["journal", "list", "--home", str(home)]) == 0
    assert "no journals" in capsys.readouterr().err
