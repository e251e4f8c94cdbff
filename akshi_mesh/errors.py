"""What an operator of a node can be told, sorted by whose turn it is.

    OperatorError       root: has a message, a hint and the exit code of the command line
      UsageError        2: what was typed or configured makes no sense
      Refused           3: somebody with the right to say no said no
      Unreachable       4: the peer, or a node running here, does not answer
      BadNews           5: the question was answered, and the answer is bad

A bug in our own code is an `AssertionError`; only `cli/main.py` turns it into exit code 1.
"""


class OperatorError(Exception):
    """One line for a person: lower case, no full stop; `hint` is a command or empty."""

    exit_code = 2
    hint = ""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        if hint:
            self.hint = hint


class UsageError(OperatorError):
    """What was typed or configured makes no sense here."""


class Refused(OperatorError):
    """Not allowed: not trusted, no right, wrong token, queue full."""

    exit_code = 3


class Unreachable(OperatorError):
    """No node is running here, or the peer does not answer."""

    exit_code = 4


class BadNews(OperatorError):
    """A failed check, a failed task, damaged data: the answer itself is the problem."""

    exit_code = 5


class GrantsFull(Refused):
    """As many grants as a node keeps; those that end make room."""

    hint = "akshi-node grant list"

    def __init__(self, side: str, *, limit: int) -> None:
        super().__init__(f"{limit} grants are {side} already", hint=self.hint)
        self.side = side
        self.limit = limit
