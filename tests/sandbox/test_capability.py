"""Which capability each function wants, and what performing it does: one line for each."""

from sandbox.capability import FUNCTIONS, Capability, Effect

# Written down a second time on purpose: a function that changes its line changes what is safe.
TABLE = {
    "inference.prompt": ("inference", "outside"),
    "journal.append": ("journal", "local"),
    "journal.read": ("journal", "read"),
    "journal.search": ("journal", "read"),
    "journal.find": ("journal", "read"),
    "database.query": ("database", "staged"),
    "database.execute": ("database", "staged"),
    "http-fetch.fetch": ("http_fetch", "outside"),
    "a2a.send": ("a2a", "local"),
    "a2a.wait": ("a2a", "read"),
    "a2a.cancel": ("a2a", "local"),
    "mcp.list-tools": ("mcp", "read"),
    "mcp.call-tool": ("mcp", "outside"),
    "filesystem.list-files": ("filesystem", "read"),
    "filesystem.read-file": ("filesystem", "read"),
    "spend.balance": ("spend", "read"),
    "spend.quote": ("spend", "read"),
    "spend.charge": ("spend", "outside"),
    "task.progress": (None, "local"),
    "task.is-cancelled": (None, "none"),
    "task.log": (None, "none"),
    "task.now": (None, "none"),
    "task.random": (None, "none"),
}


def test_what_each_function_wants_and_does() -> None:
    assert {
        name: (function.capability and function.capability.value, function.effect.value)
        for name, function in FUNCTIONS.items()
    } == TABLE


def test_every_capability_has_a_function_and_only_the_task_needs_none() -> None:
    assert {function.capability for function in FUNCTIONS.values()} == {None, *Capability}
    for name, function in FUNCTIONS.items():
        assert (function.capability is None) == name.startswith("task.")
        if function.effect is Effect.NONE:
            assert function.capability is None
