"""``akshi-node testnet``: a mesh on one machine, to try things or to watch a real job."""

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from akshi_mesh.cli import output
from akshi_mesh.cli.progress import progress
from akshi_mesh.cli.session import Session, command, group
from akshi_mesh.errors import BadNews, UsageError
from akshi_mesh.home import Home
from akshi_mesh.inert import inert
from testnet.agents import agent, mesh_journal
from testnet.demo import Report, run_demo
from testnet.processes import NodeProcess, Testnet

NODES_MAX = 32  # each is two processes and some 60 MB
DEFAULT_CORPUS = Path(__file__).parent.parent / "docs"
DEFAULT_QUESTION = "What happens when an agent calls a capability it does not have?"

app = group("A mesh of several nodes on this machine.")

NodesOption = Annotated[int, typer.Option("--nodes", min=1, max=NODES_MAX, help="How many nodes.")]


@command(app, "demo")
def demo(
    session: Session,
    *,
    nodes: NodesOption = 3,
    corpus: Annotated[
        Path, typer.Option("--corpus", metavar="DIR", help="Text files to ask about.")
    ] = DEFAULT_CORPUS,
    question: Annotated[str, typer.Option("--question", metavar="TEXT")] = DEFAULT_QUESTION,
) -> None:
    """Ask several machines a question without moving their files."""
    if not question.strip():
        raise UsageError("the question is empty", hint="akshi-node testnet demo --question TEXT")
    if corpus == DEFAULT_CORPUS and not corpus.is_dir():
        raise UsageError(
            "this install has no docs to ask about", hint="akshi-node testnet demo --corpus DIR"
        )
    # One step for dealing, one for each node, one for the links, one for the answer.
    with _directory(session) as directory, progress("dealing files", steps=nodes + 3) as told:
        report = run_demo(directory, nodes=nodes, corpus=corpus, question=question, told=told)
    if not session.as_json:
        _print_answers(report, question)
    session.answer(report.as_json(), text="")
    if not report.is_good:
        raise BadNews("the nodes do not agree on tasks or journals")


@command(app, "up")
def up(
    session: Session,
    *,
    nodes: Annotated[int, typer.Argument(min=1, max=NODES_MAX, metavar="N")] = 3,
) -> None:
    """Run N nodes that trust each other, with example agents, until Ctrl-C."""
    with _directory(session) as directory:
        members = [
            NodeProcess.create(
                f"node-{number + 1}", directory / f"node-{number + 1}", _config(nodes)
            )
            for number in range(nodes)
        ]
        with contextlib.ExitStack() as stack:
            with progress("starting nodes", steps=nodes + 1) as told:
                testnet = stack.enter_context(Testnet(members).running(told))
            for node in testnet.nodes:
                output.say(f"{node.name}  {node.did}  {node.address}  --home {node.home.path}")
            other = testnet.nodes[-1].name
            home = testnet.nodes[0].home.path
            output.say(f"try: akshi-node task send {other}/echo hello --home {home}")
            output.say(f"     akshi-node journal append notes hello --home {home}")
            output.note("stop with Ctrl-C")
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()
        output.note("all nodes have stopped")


def _config(nodes: int) -> str:
    others = [f"node-{number + 1}/*" for number in range(nodes)]
    return (
        mesh_journal("notes")
        + mesh_journal("scribe")
        + agent("echo")
        + agent("scribe", capabilities=["journal"])
        + agent("relay", capabilities=["a2a"], peers=["self/*", *others])
    )


@contextlib.contextmanager
def _directory(session: Session) -> Iterator[Path]:
    """Where the homes are: below --home, which is kept, or a directory that is gone afterwards."""
    if session.home.path != Home.find(None, os.environ).path:
        session.home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield session.home.path
        return
    with tempfile.TemporaryDirectory(prefix="akshi-") as fresh:
        yield Path(fresh)


def _print_answers(report: Report, question: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # File names and passages are words of strangers, also here.
    table = Table(title=Text(inert(question)), show_lines=True)
    for heading in ("score", "where", "passage"):
        table.add_column(heading)
    for answer in report.answers:
        where = f"{answer['file']}:{answer['line']}"
        passage = inert(answer["text"].strip(), lines=True)
        table.add_row(f"{answer['score']:.2f}", Text(inert(where)), Text(passage))
    if report.answers:
        Console().print(table)
    else:
        output.say("nothing was found: no file holds these words")
    tasks = report.tasks
    output.note(
        f"{output.plural(len(report.corpus.files), 'file')} on"
        f" {output.plural(report.nodes, 'node')}, {output.plural(tasks['sent'], 'task')} sent and"
        f" {tasks['acknowledged']} acknowledged, journals"
        f" {'agree' if report.converged else 'differ'}, {report.seconds:.2f} s"
    )
