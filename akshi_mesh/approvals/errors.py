"""What goes wrong between a question and the person who answers it."""

from sandbox.errors import SandboxError


class UnknownApproval(SandboxError):
    """No question of this id is here, or its row was pruned long after it closed."""

    hint = "akshi-node approvals list"

    def __init__(self, id: str) -> None:
        super().__init__(f"no approval {id!r} here")
        self.id = id


class NotAnOperator(SandboxError):
    """The vote of this DID does not count on this node."""

    def __init__(self, operator: str) -> None:
        super().__init__(f"{operator} is no operator of this node")
        self.operator = operator
        self.hint = f'operators = ["{operator}"] under [approval] in runtime.toml'


class MalformedAnswer(SandboxError, ValueError):
    """The body of an envelope about approvals that no correct node sends."""

    def __init__(self, why: str) -> None:
        super().__init__(f"approval message: {why}")
        self.why = why
