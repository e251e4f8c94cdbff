"""A batch of answers is shown and counted before it is given."""

import io
import sys

import pytest

from akshi_mesh.cli.approvals import AnswerRefused, _answer, _confirm
from akshi_mesh.cli.session import Session
from tests.akshi_mesh.api.fake_approvals import question


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "is_meant"), [("y\n", True), ("yes\n", True), ("\n", False)])
def test_a_person_is_asked_once_for_all(
    typed: str,
    is_meant: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    questions = [question(), question(summary="\x1b[2Jpay")]
    if is_meant:
        _confirm(questions, "approve")
    else:
        with pytest.raises(AnswerRefused, match="nothing was answered"):
            _confirm(questions, "approve")
    told = capsys.readouterr().err
    assert "approve 2 questions? [y/N]" in told
    assert "\x1b" not in told


def test_nobody_is_there_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(AnswerRefused, match="1 question would be answered: deny; say --yes"):
        _confirm([question()], "deny")


class Half:
    """A node that takes the first answer and not the second."""

    @property
    def approvals(self) -> "Half":
        return self

    def answer(self, questions: list[object], decision: str, *, note: str | None) -> list[object]:
        assert (decision, note) == ("approve", None)
        return [
            {"id": "one", "ok": True, "state": "approved", "why": ""},
            {"id": "two", "ok": False, "state": "", "why": "approval two is expired"},
        ]


def test_an_answer_that_did_not_count_is_exit_code_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session = Session.__new__(Session)
    object.__setattr__(session, "as_json", False)
    monkeypatch.setattr(Session, "node", lambda _: Half())
    with pytest.raises(AnswerRefused, match="1 answer given, 1 did not count") as refused:
        _answer(session, [question(), question()], "approve", None, ask=False)
    assert refused.value.exit_code == 3
    assert "approval two is expired" in capsys.readouterr().err
