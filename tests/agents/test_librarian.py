"""Many shelves, one question: the answer is the one that a single shelf would give."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.agents.bm25 import rank
from tests.agents.fakes import Journal, Mesh, Shelf, reader_on
from tests.agents.harness import AgentFailed, Examples, Host

WORDS = st.sampled_from(["mesh", "Node", "key", "GATE", "jail", "été", "λόγος", "to", "an", "x1"])
PARAGRAPHS = st.lists(WORDS, min_size=1, max_size=8).map(" ".join)
BREAKS = st.sampled_from(["\n\n", "\n", "\r\n\r\n", "\n \t\n\n", ", "])
TEXTS = st.lists(st.tuples(PARAGRAPHS, BREAKS), max_size=5).map(
    lambda pairs: "".join(paragraph + gap for paragraph, gap in pairs)
)
NAMES = st.from_regex(r"([a-c]/){0,2}[a-e]{1,3}\.md", fullmatch=True)
CORPORA = st.dictionaries(NAMES, TEXTS, min_size=1, max_size=8)


def deal(files: Mapping[str, str], shelves: int) -> list[dict[str, str]]:
    names = sorted(files)
    return [{name: files[name] for name in names[n::shelves]} for n in range(shelves)]


def ask(
    examples: Examples, files: Mapping[str, str], question: str, *, shelves: int, k: int = 5
) -> dict[str, Any]:
    """What the librarian answers when `files` are dealt over this many readers."""
    readers = {
        f"node-{number}/reader": reader_on(Shelf(shelf), examples["reader"])
        for number, shelf in enumerate(deal(files, shelves))
    }
    message = {"question": question, "readers": list(readers), "k": k}
    host = Host({**Mesh(readers).handlers(), **Journal().handlers()})
    [answer] = host.run(examples["librarian"], json.dumps(message))
    found: dict[str, Any] = json.loads(answer)
    return found


@settings(deadline=None, max_examples=40)
@given(files=CORPORA, question=PARAGRAPHS, shelves=st.integers(2, 5), k=st.integers(1, 10))
def test_the_answer_does_not_depend_on_how_files_were_dealt(
    examples: Examples, files: dict[str, str], question: str, shelves: int, k: int
) -> None:
    one = ask(examples, files, question, shelves=1, k=k)
    many = ask(examples, files, question, shelves=shelves, k=k)
    assert many["answers"] == one["answers"]
    assert (one["asked"], one["answered"]) == (1, 1)
    assert (many["asked"], many["answered"]) == (shelves, shelves)


@settings(deadline=None, max_examples=60)
@given(files=CORPORA, question=PARAGRAPHS)
def test_the_ranking_is_that_of_bm25(
    examples: Examples, files: dict[str, str], question: str
) -> None:
    expected = rank(files, question, 10)
    answers = ask(examples, files, question, shelves=2, k=10)["answers"]
    assert [(hit["file"], hit["line"], hit["text"]) for hit in answers] == [
        (file, line, text) for file, line, _, text in expected
    ]
    for hit, (_, _, score, _) in zip(answers, expected, strict=True):
        assert hit["score"] == pytest.approx(score, abs=0.000_06)


def test_scores_that_are_equal_on_paper_are_a_tie(examples: Examples) -> None:
    """Found by chance: one of one word and three of six words differed in the last bit."""
    once, thrice = "mesh", "mesh mesh mesh Node Node Node"
    rest = [5 * "mesh ", 7 * "mesh ", 7 * "mesh " + "Node"]
    files = {
        "a.md": "\n\n".join([*rest, thrice, "Node"]),
        "aa.md": 3 * "mesh ",
        "b.md": "\n\n".join([once, once, 5 * "mesh ", 8 * "mesh "]),
    }
    answers = ask(examples, files, "mesh", shelves=2, k=10)["answers"]
    assert [(hit["file"], hit["line"]) for hit in answers][6:] == [
        ("a.md", 7),
        ("b.md", 1),
        ("b.md", 3),
    ]


FILES = {"a.md": "# Keys\n\nthe node key signs", "b.md": "nothing here", "c.md": "a key, a lock"}


def librarian(examples: Examples, mesh: Mesh, journal: Journal, *texts: str) -> dict[str, Any]:
    [answer] = Host({**mesh.handlers(), **journal.handlers()}).run(examples["librarian"], *texts)
    found: dict[str, Any] = json.loads(answer)
    return found


def test_question_and_answer_are_journalled(examples: Examples) -> None:
    journal = Journal()
    mesh = Mesh({"self/reader": reader_on(Shelf(FILES), examples["reader"])})
    answer = librarian(examples, mesh, journal, "Where is the KEY?")
    assert [tag for tag, _ in journal.entries] == ["question", "answer"]
    assert journal.entries[0][1] == "Where is the KEY?"
    assert json.loads(journal.entries[1][1]) == answer
    assert [hit["file"] for hit in answer["answers"]] == ["a.md", "c.md"]


def test_a_plain_question_takes_its_readers_from_a_second_part(examples: Examples) -> None:
    reader = reader_on(Shelf(FILES), examples["reader"])
    mesh = Mesh({"one/reader": reader})
    details = json.dumps({"readers": ["one/reader"], "k": 1})
    answer = librarian(examples, mesh, Journal(), "the key", details)
    assert len(answer["answers"]) == 1


def test_who_is_silent_or_refused_is_named_and_the_rest_answers(examples: Examples) -> None:
    """The silent one is waited for as long as asked, then cancelled."""
    mesh = Mesh({"a/reader": reader_on(Shelf(FILES), examples["reader"]), "b/reader": None})
    message = {"question": "key", "readers": ["a/reader", "b/reader", "c/reader"], "timeout_s": 7}
    answer = librarian(examples, mesh, Journal(), json.dumps(message))
    assert (answer["asked"], answer["answered"]) == (3, 1)
    assert answer["failed"] == {
        "b/reader": "no answer in time",
        "c/reader": "not-allowed: c/reader is not in [agents.peers] allowed",
    }
    assert [hit["file"] for hit in answer["answers"]] == ["a.md", "c.md"]
    assert mesh.clock_ms == 1_000 + 7_000
    assert len(mesh.cancelled) == 1


def test_no_reader_at_all_fails_the_task_and_says_why(examples: Examples) -> None:
    with pytest.raises(AgentFailed, match="no reader answered: not-allowed"):
        librarian(examples, Mesh({}), Journal(), "key")


def test_words_that_nobody_has_need_no_second_round(examples: Examples) -> None:
    mesh = Mesh({"self/reader": reader_on(Shelf(FILES), examples["reader"])})
    answer = librarian(examples, mesh, Journal(), "zebra")
    assert answer["answers"] == []
    assert answer["answered"] == 1
    assert len(mesh.sent) == 1


@pytest.mark.parametrize(
    "answer",
    [
        "no json",
        "[]",
        '{"passages":1,"length":3}',
        '{"passages":1,"length":3,"with":[2]}',
        '{"passages":-1,"length":3,"with":[1]}',
        '{"passages":1,"length":99999999999999999999999,"with":[1]}',
        '{"passages":4503599627370497,"length":1,"with":[1]}',
        '{"passages":1,"length":3,"with":[1,1]}',
    ],
)
def test_statistics_that_cannot_be_are_not_added_up(examples: Examples, answer: str) -> None:
    mesh = Mesh(
        {
            "good/reader": reader_on(Shelf(FILES), examples["reader"]),
            "bad/reader": lambda _: answer,
        }
    )
    message = {"question": "key", "readers": ["good/reader", "bad/reader"]}
    found = librarian(examples, mesh, Journal(), json.dumps(message))
    assert list(found["failed"]) == ["bad/reader"]
    assert found["answered"] == 1
    alone = librarian(
        examples, mesh, Journal(), json.dumps({"question": "key", "readers": ["good/reader"]})
    )
    assert found["answers"] == alone["answers"]


HIT = {"file": "x", "line": 1, "length": 2, "tf": [1], "text": "key x"}


@pytest.mark.parametrize(
    "hit",
    [
        {**HIT, "file": "x" * 1501},
        {**HIT, "file": "x" * 40_000},
        {**HIT, "length": 0},
        {**HIT, "length": 3},
        {**HIT, "length": 1 << 40},
        {**HIT, "tf": [1] * 40},
        {**HIT, "tf": []},
        {**HIT, "tf": [-1]},
        {**HIT, "text": 5},
        {**HIT, "line": 1.5},
        {"file": "x"},
        7,
    ],
)
def test_a_hit_that_cannot_be_is_refused(examples: Examples, hit: object) -> None:
    def reader(text: str) -> str:
        if "k" in json.loads(text):
            return json.dumps({"hits": [hit]})
        return '{"passages":1,"length":2,"with":[1]}'

    with pytest.raises(AgentFailed, match="no reader answered"):
        librarian(examples, Mesh({"self/reader": reader}), Journal(), "key")


def test_the_longest_answer_fits_into_one_message(examples: Examples) -> None:
    """Quotes and backslashes grow fourfold as JSON in JSON: 48 KiB is the limit of parts."""
    files = {f"{number}{'ü' * 120}.md": "key " + '\\"' * 5_000 for number in range(12)}
    mesh = Mesh({"self/reader": reader_on(Shelf(files), examples["reader"])})
    host = Host({**mesh.handlers(), **Journal().handlers()})
    question = json.dumps({"question": "key", "k": 10})
    [answer] = host.run(examples["librarian"], question)
    assert len(json.loads(answer)["answers"]) == 10
    parts = json.dumps([{"text": answer}], ensure_ascii=False)
    assert len(parts.encode()) < 48 * 1024


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ("?!", "the question has no words"),
        ('{"k":5}', "want a question"),
        ('{"question":"key"', "not JSON"),
        ('{"question":"key","k":11}', "want k"),
        ('{"question":"key","k":0}', "want k"),
        ('{"question":"key","readers":[]}', "want readers"),
        ('{"question":"key","readers":["a/b","a/b"]}', "named twice"),
        ('{"question":"key","readers":[1]}', "a reader is no text"),
        (json.dumps({"question": "key", "readers": [f"n{i}/r" for i in range(33)]}), "more than"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(
    examples: Examples, message: str, why: str
) -> None:
    with pytest.raises(AgentFailed, match=why):
        librarian(examples, Mesh({}), Journal(), message)
