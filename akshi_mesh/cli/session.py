"""What every command may ask for: the home, the running node, how to print.

`--home`, `-c`, `--json` and `--debug` are accepted after any command: `command` adds them to
the function's parameters and hands over a `Session` instead.
"""

import functools
import inspect
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec

import typer

from akshi_mesh.cli import output
from akshi_mesh.home import Home, HomeBusy, HomeMissing

if TYPE_CHECKING:
    from akshi_mesh.api.client import Client
    from akshi_mesh.config.model import Config

P = ParamSpec("P")

# A node that starts holds the lock before it answers; two commands at once, likewise.
PATIENCE_S = 3.0
RETRY_S = 0.05

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
HomeOption = Annotated[
    Path | None,
    typer.Option("--home", metavar="DIR", help="The node's home; else AKSHI_HOME_DIR."),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("-c", "--config", metavar="FILE", help="The configuration; else the home's."),
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")]


@dataclass(frozen=True, slots=True)
class Session:
    """One command of one person."""

    home: Home
    config_path: Path | None
    as_json: bool

    def config(self) -> "Config":
        """The configuration, its notes not yet told."""
        from akshi_mesh.config.load import load_config

        return load_config(self.config_path, home=self.home.path)

    def last_config(self) -> "Config":
        """The configuration that was typed, else that of the node that runs or ran here."""
        from akshi_mesh.config.load import load_config

        return load_config(self.config_path or self.home.last_config(), home=self.home.path)

    def node(self) -> "Client":
        """The node that runs here, waited for while it starts.

        Raises:
            NoNode: none does; or the first question to it raises that.
        """
        from akshi_mesh.api.client import Client, NoNode

        self.require_home()
        give_up_at = time.monotonic() + PATIENCE_S
        while not self.home.socket_path.exists() and self.home.is_held():
            if time.monotonic() > give_up_at:
                raise NoNode("the node does not answer yet", hint="akshi-node stop")
            time.sleep(RETRY_S)
        return Client.at(self.home)

    def require_home(self) -> None:
        """Raise unless `init` was here and nobody else can look in."""
        if not self.home.exists:
            raise HomeMissing(self.home.path)
        self.home.check()

    @contextmanager
    def node_or_lock(self) -> Iterator["Client | None"]:
        """The node that runs here, or None while we hold its lock and may change its files.

        Raises:
            HomeBusy: somebody holds the lock and does not answer.
        """
        self.require_home()
        give_up_at = time.monotonic() + PATIENCE_S
        with ExitStack() as stack:
            while True:
                try:
                    stack.enter_context(self.home.lock())
                except HomeBusy:
                    client = self._answering(may_raise=time.monotonic() > give_up_at)
                    if client is None:
                        time.sleep(RETRY_S)
                        continue
                    yield client
                else:
                    yield None
                return

    def _answering(self, *, may_raise: bool) -> "Client | None":
        from akshi_mesh.api.client import Client, NoNode

        try:
            client = Client.at(self.home)
            client.whoami()
        except NoNode as silent:
            if may_raise:
                raise HomeBusy(self.home.path, self.home.lock_holder()) from silent
            return None
        return client

    def answer(self, value: Mapping[str, Any], *, text: str) -> None:
        """The answer of a command: the object, or its words."""
        if self.as_json:
            output.say_json(value)
        elif text:
            output.say(text)

    def rows(
        self,
        values: Sequence[Mapping[str, Any]],
        row: Callable[[Any], Sequence[str]],
        *,
        empty: str,
    ) -> None:
        """A list as the answer: an object a line, or a table, or a note that there is nothing."""
        if self.as_json:
            for value in values:
                output.say_json(value)
        elif values:
            output.say_table(map(row, values))
        else:
            output.note(empty)


def open_session(home: Path | None, config: Path | None, *, as_json: bool) -> Session:
    output.remember_node(home=home, config=config)
    return Session(Home.find(home, os.environ), config, as_json)


def command(
    app: typer.Typer, name: str, **settings: Any
) -> Callable[[Callable[Concatenate[Session, P], None]], Callable[..., None]]:
    """Register a function that takes a `Session` first as the command `name` of `app`."""

    def register(function: Callable[Concatenate[Session, P], None]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(*arguments: Any, **options: Any) -> None:
            # What stands before the command counts as well: akshi-node --home DIR status.
            before = options.pop("ctx").find_root().params
            home, config = (options.pop(name) or before.get(name) for name in ("home", "config"))
            as_json = options.pop("json") or bool(before.get("json"))
            options.pop("debug")  # main reads it from what was typed
            function(open_session(home, config, as_json=as_json), *arguments, **options)

        added = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind
            )
            for name, default, kind in (
                ("ctx", inspect.Parameter.empty, typer.Context),
                ("json", False, JsonOption),
                ("home", None, HomeOption),
                ("config", None, ConfigOption),
                ("debug", False, DebugOption),
            )
        ]
        own = list(inspect.signature(function).parameters.values())[1:]
        run.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in own + added}
        app.command(name, **settings)(run)
        return run

    return register


def group(help_text: str) -> typer.Typer:
    """A group of commands such as ``trust``; on its own it shows its help."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
