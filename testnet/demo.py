"""Ask several machines a question without moving their files.

corpus ─dealt─▶ shelf of node-1 … shelf of node-N        a `reader` agent on each
question ─▶ `librarian` on node-1 ═tasks═▶ readers        two rounds, BM25 over the sum
answer ◀─ ranked passages; question and answer ─▶ a journal that all nodes then hold
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from akshi_mesh.api.shapes import TaskCounts
from akshi_mesh.cli.output import plural
from testnet.agents import agent, mesh_journal
from testnet.corpus import Corpus, put_on_shelf, survey
from testnet.errors import EmptyCorpus, JobFailed
from testnet.processes import NodeProcess, Testnet

ANSWERS = 5
ANSWER_S = 60.0  # for the whole question; a demo answers in one or two
CONVERGED_S = 15.0
POLL_S = 0.05
_JOURNAL = "librarian"


@dataclass(frozen=True, slots=True)
class Report:
    """What the demo found, and whether every promise was kept while it did."""

    nodes: int
    corpus: Corpus
    tasks: TaskCounts
    conserved: bool
    converged: bool
    answers: list[dict[str, Any]]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        return {
            "nodes": self.nodes,
            "files": len(self.corpus.files),
            "skipped": self.corpus.skipped,
            "tasks": dict(self.tasks),
            "conserved": self.conserved,
            "journals_converged": self.converged,
            "answers": self.answers,
            "seconds": round(self.seconds, 3),
        }

    @property
    def is_good(self) -> bool:
        return self.conserved and self.converged


def run_demo(
    directory: Path,
    *,
    nodes: int,
    corpus: Path,
    question: str,
    told: Callable[[str], None],
) -> Report:
    """Deal, start, ask, compare, stop. `directory` holds the homes.

    Raises:
        EmptyCorpus: no readable file below `corpus`.
        NodeFailed, NotLinked: the nodes do not run together.
        JobFailed: the librarian gave no answer.
    """
    if not corpus.is_dir():
        raise EmptyCorpus(f"{corpus}: no such directory")
    dealt = survey(corpus)
    if not dealt.files:
        raise EmptyCorpus(f"{corpus}: no text file of at most 1 MiB here")
    members = [_member(directory, dealt, number, nodes) for number in range(nodes)]
    files, shelves = plural(len(dealt.files), "file"), plural(nodes, "node")
    told(f"{files} dealt to {shelves}, {dealt.skipped} skipped")
    with Testnet(members).running(told) as testnet:
        began_s = time.monotonic()
        answers = _ask(testnet, question)
        seconds = time.monotonic() - began_s
        told("the answer is here, comparing journals")
        converged = _wait_converged(testnet)
        tasks = testnet.counts()
        conserved = tasks["sent"] == sum(
            (tasks["acknowledged"], tasks["queued"], tasks["expired"], tasks["refused"])
        )
        return Report(nodes, dealt, tasks, conserved, converged, answers, seconds)


def _member(directory: Path, corpus: Corpus, number: int, nodes: int) -> NodeProcess:
    name = f"node-{number + 1}"
    # Not below the home: what is in there, no agent sees, whatever is allowed.
    shelf = directory / "shelves" / name
    config = mesh_journal(_JOURNAL) + agent(
        "reader", capabilities=["filesystem"], files=[str(shelf)]
    )
    if number == 0:
        readers = [f"node-{other + 1}/reader" for other in range(1, nodes)]
        config += agent(
            "librarian",
            capabilities=["a2a", "journal"],
            peers=["self/reader", *readers],
            wall_clock_s=ANSWER_S,
        )
    put_on_shelf(corpus, corpus.shelf(number, nodes), shelf)
    return NodeProcess.create(name, directory / name, config)


def _ask(testnet: Testnet, question: str) -> list[dict[str, Any]]:
    first, *others = testnet.nodes
    readers = ["self/reader", *(f"{node.name}/reader" for node in others)]
    wish = {"question": question, "readers": readers, "k": ANSWERS, "timeout_s": int(ANSWER_S)}
    client = first.client
    sent = client.task_send("self/librarian", json.dumps(wish, ensure_ascii=False))
    ended = client.task_wait(sent["id"], timeout_s=ANSWER_S)
    if ended["state"] != "TASK_STATE_COMPLETED":
        raise JobFailed(f"the librarian gave no answer: {ended['why'] or ended['state']}")
    told = json.loads(ended["text"])
    if told["failed"] or told["unread"]:
        raise JobFailed(f"not every shelf was read: {told['failed'] or told['unread']}")
    answers: list[dict[str, Any]] = told["answers"]
    return answers


def _wait_converged(testnet: Testnet) -> bool:
    """Whether all nodes hold the same entries of the journal, each proven by its log's root."""
    until = time.monotonic() + CONVERGED_S
    while time.monotonic() < until:
        views = [_entries(node) for node in testnet.nodes]
        if views[0] and all(view == views[0] for view in views):
            return all(node.client.journal_verify(_JOURNAL)["ok"] for node in testnet.nodes)
        time.sleep(POLL_S)
    return False


def _entries(node: NodeProcess) -> list[tuple[str, str, int, str]]:
    page = node.client.journal_read(_JOURNAL, after=None, limit=1_000)
    return [(e["author"], e["epoch"], e["seq"], e["text"]) for e in page["entries"]]
