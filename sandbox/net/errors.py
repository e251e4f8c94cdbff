"""Why a request did not go out, beside what httpcore itself raises."""

import httpcore

from sandbox.errors import SandboxError


class AddressRefused(httpcore.ConnectError):
    """A name leads to an address that is not public, and no rule says that this is fine."""

    def __init__(self, host: str, *, why: str) -> None:
        super().__init__(f"{host} leads to an address that is not public: {why}")
        self.host = host
        self.why = why


class NameUnknown(httpcore.ConnectError):
    """The resolver gave no address."""

    def __init__(self, host: str, *, why: str) -> None:
        super().__init__(f"{host} cannot be resolved: {why}")
        self.host = host
        self.why = why


class Halted(httpcore.NetworkError):
    """Somebody pulled a switch while the request was on its way."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class NotSent(SandboxError):
    """A request to a service of the operator was not made: nothing has left the node."""

    def __init__(self, why: str, *, is_slow: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.is_slow = is_slow


class SentAndLost(SandboxError):
    """A request to a service of the operator went out, and no whole answer came."""

    def __init__(self, why: str, *, is_slow: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.is_slow = is_slow
