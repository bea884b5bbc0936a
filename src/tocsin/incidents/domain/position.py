"""Where in the stream of changes a reader stands."""

import re
from typing import Final, NamedTuple, Self

_FORM: Final = re.compile(r"(\d{1,20})-(\d{1,19})", re.ASCII)


class Position(NamedTuple):
    """The transaction that made a change, and the change's number.

    Sequence numbers are not drawn in commit order, so they alone do not say what a reader has seen.
    """

    xid: int
    seq: int

    def __str__(self) -> str:
        return f"{self.xid}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote. Raise ValueError for anything else, and for numbers that PostgreSQL does not have."""
        match = _FORM.fullmatch(text)
        if match is None or int(match[1]) >= 2**64 or int(match[2]) >= 2**63:
            msg = "not an event id of this stream, such as 742-1081"
            raise ValueError(msg)
        return cls(int(match[1]), int(match[2]))


BEGINNING: Final = Position(0, 0)
"""Before every change."""
