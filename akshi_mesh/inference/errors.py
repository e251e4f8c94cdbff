"""What goes wrong with a model, before it is told to a guest."""

from akshi_mesh.errors import OperatorError


class MalformedStream(OperatorError):
    """A provider answered what no provider answers."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the provider's answer: {why}")
        self.why = why
