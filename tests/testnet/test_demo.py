"""The demo is a real job: its answer does not depend on how many machines hold the files."""

from pathlib import Path

import pytest

from testnet.demo import run_demo
from testnet.errors import EmptyCorpus

QUESTION = "What happens when the lighthouse goes dark?"
CORPUS = {
    "harbour.txt": "Ships wait outside.\n\nWhen the lighthouse goes dark, ships anchor and wait.\n",
    "keeper.txt": "The keeper trims the lamp every evening.\n\nHe has a cat.\n",
    "sub/storm.md": "# Storms\n\nA storm may put out the lighthouse. Then a bell is rung.\n",
    "recipes.txt": "Soup wants salt.\n",
}


def test_three_nodes_answer_as_one_would(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    for name, text in CORPUS.items():
        path = corpus / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (corpus / "picture.bin").write_bytes(b"\xff\xfe\x00")
    reports = [
        run_demo(
            tmp_path / f"mesh-{nodes}",
            nodes=nodes,
            corpus=corpus,
            question=QUESTION,
            told=lambda _: None,
        )
        for nodes in (1, 3)
    ]
    for report in reports:
        assert report.is_good
        assert report.as_json()["files"] == len(CORPUS)
        assert report.as_json()["skipped"] == 1
        assert report.tasks["queued"] == report.tasks["expired"] == report.tasks["refused"] == 0
    alone, together = ([answer["text"] for answer in report.answers] for report in reports)
    assert alone == together
    assert "anchor" in alone[0]


def test_a_corpus_without_text_is_said_to_be_empty(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    with pytest.raises(EmptyCorpus):
        run_demo(
            tmp_path / "mesh",
            nodes=1,
            corpus=tmp_path / "corpus",
            question=QUESTION,
            told=lambda _: None,
        )
