"""What a person is shown of a question: nothing in it can pass for a line of ours."""

from hypothesis import given
from hypothesis import strategies as st

from akshi_mesh.cli.approval_view import (
    CELL_CHARS_MAX,
    LINE_CHARS,
    MARK,
    REQUEST_CHARS_MAX,
    page,
    row,
    tame,
)
from tests.akshi_mesh.api.fake_approvals import question

HOSTILE = "GET \x1b[2J\r\nstate     approved\u202e\u2066 <script> [bold]" + " " * 200 + "risk low"


@given(st.text(max_size=300) | st.just(HOSTILE))
def test_every_cell_is_one_short_printable_line(text: str) -> None:
    info = question(summary=text, agent=text, name=text, target=text, request=text, payee=text)
    for cell in row(info):
        assert "\n" not in cell
        assert "\x1b" not in cell
    assert len(tame(text)) <= CELL_CHARS_MAX
    for label, line in page(info):
        assert label or line.startswith("  ")
        assert not {"\n", "\r", "\x1b", "\u202e", "\u2066"} & set(line)
        assert len(line) < 700


def test_runs_of_blanks_do_not_reach_the_next_line_of_the_screen() -> None:
    assert "  " not in tame(HOSTILE, 1_000)
    lines = [line for label, line in page(question(request=HOSTILE)) if line.startswith(MARK)]
    assert all(len(line) <= len(MARK) + LINE_CHARS for line in lines)


def test_a_long_request_is_cut_and_says_so_beside_its_digest() -> None:
    text = "x" * (REQUEST_CHARS_MAX + 500)
    lines = [line for _, line in page(question(request=text))]
    assert sum(line.count("x") for line in lines if line.startswith(MARK)) == REQUEST_CHARS_MAX
    assert any("cut; the digest above is of all of it" in line for line in lines)
    assert any("cdcdcdcd" in line for line in lines)
    cut = [line for _, line in page(question(is_cut=True))]
    assert any("cut" in line for line in cut)


def test_all_that_a_person_needs_is_there() -> None:
    info = question(
        price="2.00EUR",
        payee="shop",
        secrets=["weather"],
        chain=["did:key:z6MkA/one"],
        quorum=2,
        body_sha256="99" * 32,
        why="gone",
        votes=[
            {
                "operator": "did:key:z6MkA",
                "name": "alice",
                "decision": "approve",
                "note": "fine\x07",
                "at_ms": 1,
            }
        ],
    )
    shown = "\n".join(f"{label} {line}" for label, line in page(info))
    for part in ("2.00EUR to shop", "weather", "did:key:z6MkA/one", "2 who say yes", "99" * 32):
        assert part in shown
    assert "vote approve by alice: fine\\x07" in shown
    elsewhere = question(name="laptop", answer="approve", answer_state="waits for the link")
    assert "reader on laptop" in row(elsewhere)
    assert "we said approve: waits for the link" in " ".join(row(elsewhere))
