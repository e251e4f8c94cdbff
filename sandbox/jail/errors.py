"""Why a program was not started; the launcher tells its parent, which tells people."""


class CannotJail(Exception):
    """The launcher could not shut itself in as asked, and ends without the program."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
