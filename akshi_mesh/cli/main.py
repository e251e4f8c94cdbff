"""`akshi-node`, also called `akshi`: the commands, and the one place where failures end.

Exit codes: 0 done, 1 our bug, 2 usage or configuration, 3 refused, 4 unreachable, 5 the answer
is bad news, 130 interrupted.
"""

import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import typer
from typer.main import get_command

from akshi_mesh.cli import output
from akshi_mesh.cli.commands import app
from akshi_mesh.errors import OperatorError

BUG = 1
USAGE = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; nothing is raised."""
    typed = list(sys.argv[1:] if arguments is None else arguments)
    output.remember_node(home=None, config=None)
    # Text of strangers may hold what this terminal cannot show; never fail for that.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        ended = get_command(app).main(typed, prog_name=output.PROGRAM, standalone_mode=False)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Who reads our answer has heard enough. The interpreter would complain at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, BaseExceptionGroup) as failure:
        # The edge: nothing above us can tell a person. A nursery wraps also an interrupt.
        return explain(failure, with_traceback="--debug" in typed)
    return ended if isinstance(ended, int) else 0


def explain(failure: BaseException, *, with_traceback: bool) -> int:
    """Tell a person what went wrong and what to type next; the exit code is the answer."""
    if with_traceback:
        traceback.print_exception(failure)
    leaves = list(_leaves(failure))
    if any(isinstance(leaf, KeyboardInterrupt) for leaf in leaves):
        return INTERRUPTED
    # Of several failures at once a bug is the one to hear of; otherwise the first began it.
    return _explain_one(next(filter(_is_bug, leaves), leaves[0]))


def _leaves(failure: BaseException) -> Iterator[BaseException]:
    """The failures inside nested groups, in order."""
    if isinstance(failure, BaseExceptionGroup):
        for inner in failure.exceptions:
            yield from _leaves(inner)
    else:
        yield failure


def _is_bug(failure: BaseException) -> bool:
    from akshi_mesh.api.told import FAMILIES

    on_purpose = (OperatorError, typer.TyperException, typer.Abort, OSError, *FAMILIES)
    return not isinstance(failure, on_purpose)


def _explain_one(failure: BaseException) -> int:
    from akshi_mesh.api.told import FAMILIES, told

    if isinstance(failure, FAMILIES):
        failure = told(failure)
    match failure:
        case OperatorError():
            problems = getattr(failure, "problems", (failure,))
            for problem in problems:
                output.error(str(problem))
            if failure.hint:
                output.hint(failure.hint)
            return failure.exit_code
        case typer.TyperException():
            return _explain_usage(failure)
        case typer.Abort():
            return INTERRUPTED
        case OSError(strerror=str(why)):
            where = f"{failure.filename}: " if failure.filename else ""
            output.error(f"{where}{why.lower()}")
            output.hint("akshi-node doctor")
            return USAGE
        case _:
            return _explain_bug(failure)


def _explain_usage(failure: typer.TyperException) -> int:
    """What was typed is no command of ours: say why, and where to read on."""
    context = getattr(failure, "ctx", None)
    command = context.command_path if context is not None else output.PROGRAM
    if type(failure).__name__ == "NoArgsIsHelpError":
        print(context.get_help() if context is not None else failure.format_message())
        return USAGE
    message = failure.format_message().rstrip(".").replace("\n", " ")
    output.error(f"{message[:1].lower()}{message[1:]}")
    output.hint(f"{command} --help")
    return USAGE


def _explain_bug(failure: BaseException) -> int:
    steps = traceback.extract_tb(failure.__traceback__)
    where = f" ({Path(steps[-1].filename).name} line {steps[-1].lineno})" if steps else ""
    words = " ".join(str(failure).split())
    output.error(f"a bug of ours: {type(failure).__name__}: {words}{where}")
    output.hint("the same command with --debug shows where, please report it")
    return BUG


if __name__ == "__main__":
    sys.exit(main())
