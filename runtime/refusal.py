"""An expected, named "no" that is part of the contract, as opposed to a bug."""


class Refusal(Exception):  # noqa: N818 - it is no error: the system did what it should
    """What a decider raises when a rule forbids the command; nothing was changed.

    `code` is stable and upper snake case, `detail` is for people, and `fields` hold what a program
    may want to know, such as how much was required and how much there is.
    """

    def __init__(self, code: str, detail: str, **fields: str | int | None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.fields = fields
