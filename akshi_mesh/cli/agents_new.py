"""`agents new`, `agents build`, `agents inspect`: an agent before it has a node."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from akshi_mesh.cli import output
from akshi_mesh.cli.session import Session, command

if TYPE_CHECKING:
    from akshi_mesh.workshop.inspect import Inspected
    from akshi_mesh.workshop.verdict import Verdict

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="The project; else here.")]
Component = Annotated[Path, typer.Argument(metavar="FILE.wasm", help="The component.")]


def register(app: typer.Typer) -> None:
    command(app, "new")(new)
    command(app, "build")(build)
    command(app, "inspect")(inspect)


def new(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The agent's name.")],
    *,
    lang: Annotated[str, typer.Option("--lang", help="python, rust, js or c.")],
    into: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Where; else ./NAME.")
    ] = None,
) -> None:
    """Begin an agent: source, SDK, world, test and a runtime.toml that grants the least."""
    from akshi_mesh.workshop.project import begin

    project = begin(name, lang, into if into is not None else Path(name))
    session.answer(
        {"name": name, "lang": lang, "directory": str(project.directory.absolute())},
        text=f"{project.directory}: agent {name} in {lang}; change {project.language.main}",
    )
    output.note(f"its test: cd {project.directory} && {project.language.test}")
    output.hint(f"akshi-node agents build {project.directory}")


def build(session: Session, directory: Directory = Path()) -> None:
    """Make the component of a project with the tools that are on this machine."""
    from akshi_mesh.workshop.build import build as build_component
    from akshi_mesh.workshop.errors import BuildFailed
    from akshi_mesh.workshop.inspect import inspect as look
    from akshi_mesh.workshop.project import open_project

    project = open_project(directory)
    try:
        component = build_component(project)
    except BuildFailed as failed:
        for line in failed.words:
            output.note(line)
        raise
    beside = project.output.with_name(f".{project.output.name}.new")
    beside.write_bytes(component)
    beside.replace(project.output)
    made = look(project.output)
    assert made.sha256 == hashlib.sha256(component).digest(), "it was written whole"
    if session.as_json:
        output.say_json(_facts(made))
        return
    output.say_table(_fact_rows(made))
    for problem in made.component.problems:
        output.note(f"no node will run it: {problem}")
    output.hint(f"akshi-node agents inspect {project.output} -c runtime.toml")


def inspect(
    session: Session,
    file: Component,
    *,
    agent: Annotated[
        str | None,
        typer.Option("--agent", metavar="NAME", help="As which agent of the configuration."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Read only what it imports; compile nothing.")
    ] = False,
) -> None:
    """Say what a component asks for, whether a node would run it, and what -c would allow it."""
    from akshi_mesh.errors import BadNews, UsageError
    from akshi_mesh.workshop.inspect import inspect as look
    from akshi_mesh.workshop.verdict import judge

    if agent is not None and session.config_path is None:
        raise UsageError("--agent is one of a configuration: say which with -c FILE")
    made = look(file)
    verdict = judge(made, session.config() if session.config_path else None, agent, quick=quick)
    if session.as_json:
        output.say_json({**_facts(made), **verdict.facts()})
    else:
        _tell(made, verdict)
    if verdict.refusals:
        raise BadNews(f"{file}: no node would run this")


def _tell(made: "Inspected", verdict: "Verdict") -> None:
    accepted = verdict.refusals or (
        ("so far: its imports and exports are ours; not compiled",)
        if verdict.is_quick
        else ("yes: compiled in a jailed child, as a node does",)
    )
    output.say_table(
        [
            *_fact_rows(made),
            *(
                ("accepted" if not at else "", f"no: {line}" if verdict.refusals else line)
                for at, line in enumerate(accepted)
            ),
        ]
    )
    if verdict.agent is None:
        return
    output.say(f"as agent {verdict.agent}:")
    output.say_table(
        [
            (
                one.function,
                "granted" if one.granted else "denied",
                " ".join(one.covers) or "-",
                f"asks {one.approval}" if one.approval else "-",
                one.rate or "-",
            )
            for one in verdict.functions
        ],
        indent="  ",
    )
    for line in verdict.notes:
        output.note(line)


def _fact_rows(made: "Inspected") -> list[tuple[str, str]]:
    foreign = [one.name for one in made.component.imports if one.interface is None]
    return [
        ("file", str(made.path)),
        ("size", f"{made.size} bytes"),
        ("sha256", made.sha256.hex()),
        ("cid", made.cid),
        ("imports", " ".join([*made.component.functions, *foreign]) or "nothing"),
        ("can use", " ".join(sorted(made.component.capabilities)) or "no capability"),
    ]


def _facts(made: "Inspected") -> dict[str, object]:
    return {
        "file": str(made.path),
        "size_bytes": made.size,
        "sha256": made.sha256.hex(),
        "cid": made.cid,
        "imports": list(made.component.functions),
        "foreign": [one.name for one in made.component.imports if one.interface is None],
        "exports": list(made.component.exports),
        "capabilities": sorted(made.component.capabilities),
    }
