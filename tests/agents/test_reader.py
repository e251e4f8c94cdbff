"""The reader: what it counts, what it cannot read, and that it stays within its limits."""

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.acts import filesystem
from sandbox.errors import ActFailed
from sandbox.guest_path import GuestPath
from tests.agents.fakes import Shelf, task_own
from tests.agents.harness import AgentFailed, Examples, Handler, Host, Refusal


def read(examples: Examples, shelf: Shelf, message: object, **more: Handler) -> Any:
    text = message if isinstance(message, str) else json.dumps(message)
    host = Host({**shelf.handlers(), **task_own(), **more})
    [answer] = host.run(examples["reader"], text)
    return json.loads(answer)


def test_a_paragraph_begins_at_its_first_line(examples: Examples) -> None:
    text = "\n\nfirst\n \t\r\nsecond key\nstill second\n\n\n\nthird KEY"
    found = read(examples, Shelf({"a/b.md": text}), "key")
    assert [(hit["file"], hit["line"], hit["text"]) for hit in found["answers"]] == [
        ("a/b.md", 10, "third KEY"),
        ("a/b.md", 5, "second key\nstill second"),
    ]


def test_round_one_is_sums_only(examples: Examples) -> None:
    shelf = Shelf({"a": "one two two\n\nthree", "b": "one", "c": None, "d": "too large", "e": ""})
    assert read(examples, shelf, {"terms": ["one", "two", "four"]}) == {
        "passages": 3,
        "length": 5,
        "with": [2, 1, 0],
        "files": 5,
        "unread": 2,
    }


def test_a_directory_is_read_in_pages(examples: Examples) -> None:
    files = {f"{number % 7}/{number:04}.md": f"word{number}" for number in range(1500)}
    shelf = Shelf(files)
    found = read(examples, shelf, {"terms": ["word77", "word1499"]})
    assert (found["files"], found["passages"], found["with"]) == (1500, 1500, [1, 1])
    assert max(shelf.limits) <= 1000
    assert len(shelf.limits) > 15


def test_large_files_are_read_one_after_the_other(examples: Examples) -> None:
    """Twenty files of nearly a mebibyte go through 16 MiB of memory."""
    text = "a \\ paragraph\n\n" * 60_000
    found = read(examples, Shelf({f"{n}.md": text for n in range(20)}), {"terms": ["paragraph"]})
    assert found["passages"] == 20 * 60_000


def test_a_long_passage_is_cut_between_characters(examples: Examples) -> None:
    text = "key " + "ü" * 5_000
    [hit] = read(examples, Shelf({"a.md": text}), "key")["answers"]
    assert 100 < len(hit["text"]) < 1_000
    assert text.startswith(hit["text"])


def test_a_path_too_long_for_an_answer_is_counted_as_unread(examples: Examples) -> None:
    found = read(examples, Shelf({"é" * 300: "key", "b": "key"}), {"terms": ["key"]})
    assert (found["files"], found["unread"], found["passages"]) == (2, 1, 1)


def test_words_too_long_to_be_terms_still_count_as_length(examples: Examples) -> None:
    long = "x" * 65
    found = read(examples, Shelf({"a": f"{long} key"}), {"terms": [long, "key", long[:64]]})
    assert (found["length"], found["with"]) == (2, [0, 1, 0])


def test_two_shelves_keep_their_names(examples: Examples) -> None:
    class Two(Shelf):
        def list_files(self, path: str, after: str, limit: int) -> str:
            if path == "/":
                roots = [{"name": name, "kind": "directory", "bytes": 0} for name in ("x", "y")]
                return json.dumps({"files": roots, "next": None})
            return json.dumps({"files": [{"name": "a.md", "kind": "file"}], "next": None})

        def read_file(self, path: str) -> str:
            return json.dumps({"text": f"key {path}"})

    found = read(examples, Two({}), "key")
    assert [hit["file"] for hit in found["answers"]] == ["x/a.md", "y/a.md"]


def test_a_subdirectory_that_may_not_be_read_is_counted(examples: Examples) -> None:
    shelf = Shelf({"a.md": "key", "secret/b.md": "key"})

    def list_files(path: str, after: str, limit: int) -> str:
        if path.endswith("secret"):
            raise Refusal("not-allowed", "leads to another mount")
        return shelf.list_files(path, after, limit)

    found = read(examples, shelf, {"terms": ["key"]}, **{"filesystem.list-files": list_files})
    assert (found["files"], found["unread"], found["passages"]) == (1, 1, 1)


@pytest.mark.parametrize("code", ["capability-denied", "cancelled", "unavailable", "unknown"])
def test_other_faults_fail_the_task_and_are_not_counted_away(examples: Examples, code: str) -> None:
    def refused(_path: str) -> str:
        raise Refusal(code, "no")

    with pytest.raises(AgentFailed, match=f"{code}: no"):
        read(examples, Shelf({"a": "key"}), "key", **{"filesystem.read-file": refused})


def test_without_its_capability_it_says_so(examples: Examples) -> None:
    with pytest.raises(AgentFailed, match=r"capability-denied: filesystem\.list-files"):
        Host(task_own()).run(examples["reader"], "key")


SUMS = {"terms": ["key"], "k": 1, "passages": 1, "length": 1, "with": [1]}


@pytest.mark.parametrize(
    "message",
    [
        {**SUMS, "k": 0},
        {**SUMS, "k": 11},
        {**SUMS, "k": "5"},
        {**SUMS, "with": [1, 1]},
        {**SUMS, "passages": -1},
        {**SUMS, "length": 1 << 70},
        {**SUMS, "terms": ["key"] * 33},
        {**SUMS, "terms": [1]},
        '{"terms":',
        "?",
    ],
)
def test_a_message_that_makes_no_sense_is_refused(examples: Examples, message: object) -> None:
    with pytest.raises(AgentFailed):
        read(examples, Shelf({"a": "key"}), message)


def test_it_reads_a_real_shelf_through_the_real_act(examples: Examples, tmp_path: Path) -> None:
    """The act that nodes use and the agent agree on names, pages and kinds."""
    shelf = tmp_path / "shelf"
    (shelf / "deep" / "er").mkdir(parents=True)
    (shelf / "deep" / "er" / "é.md").write_text("the key \U0001f511 is here")
    (shelf / "z.md").write_text("no\n\nkey key")
    (shelf / "binary").write_bytes(b"\xff\x00")
    (shelf / "link").symlink_to("/etc/passwd")
    real = filesystem.Shelf(str(shelf))

    def list_files(path: str, after: str, limit: int) -> str:
        if path == "/":
            return filesystem.list_shelves(["shelf"], after=after, limit=limit)
        return faulting(lambda: real.list_files(GuestPath.parse(path), after=after, limit=limit))

    def read_file(path: str) -> str:
        return faulting(lambda: real.read(GuestPath.parse(path)))

    host = Host(
        {**task_own(), "filesystem.list-files": list_files, "filesystem.read-file": read_file}
    )
    [answer] = host.run(examples["reader"], "key")
    assert [(hit["file"], hit["line"], hit["text"]) for hit in json.loads(answer)["answers"]] == [
        ("z.md", 3, "key key"),
        ("deep/er/é.md", 1, "the key \U0001f511 is here"),
    ]


def faulting(act: Any) -> str:
    try:
        answer: str = act()
    except ActFailed as failed:
        raise Refusal(str(failed.code), failed.why) from failed
    return answer
