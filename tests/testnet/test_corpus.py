"""Dealing files: every file is on exactly one shelf, and what is no text is counted."""

import os
from pathlib import Path

from testnet.corpus import FILE_BYTES_MAX, put_on_shelf, survey


def lay_out(root: Path) -> None:
    (root / "deep").mkdir(parents=True)
    (root / "b.txt").write_text("zwei")
    (root / "a.txt").write_text("eins")
    (root / "deep" / "c.md").write_text("drei")
    (root / "binary").write_bytes(b"\xff\xfe\x00")
    (root / "huge.txt").write_bytes(b"x" * (FILE_BYTES_MAX + 1))
    (root / "link.txt").symlink_to(root / "a.txt")
    os.mkfifo(root / "pipe")


def test_links_pipes_binaries_and_giants_are_counted_as_skipped(tmp_path: Path) -> None:
    lay_out(tmp_path)
    corpus = survey(tmp_path)
    assert corpus.files == ("a.txt", "b.txt", "deep/c.md")
    assert corpus.skipped == 4


def test_every_file_is_on_exactly_one_shelf(tmp_path: Path) -> None:
    lay_out(tmp_path)
    corpus = survey(tmp_path)
    shelves = [corpus.shelf(number, 2) for number in range(2)]
    assert sorted(sum(shelves, ())) == list(corpus.files)
    assert shelves == [("a.txt", "deep/c.md"), ("b.txt",)]


def test_a_shelf_keeps_names_and_bytes(tmp_path: Path) -> None:
    lay_out(tmp_path / "in")
    corpus = survey(tmp_path / "in")
    put_on_shelf(corpus, corpus.files, tmp_path / "shelf")
    assert (tmp_path / "shelf" / "deep" / "c.md").read_text() == "drei"
