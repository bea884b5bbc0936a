"""The position of a reader in the stream of changes."""

import re
from typing import Final, NamedTuple, Self

_FORM: Final = re.compile(r"(\d{1,20})-(\d{1,19})", re.ASCII)


class StreamPosition(NamedTuple):
    """The id of the transaction that wrote a change, and the change's sequence number.

    Sequence numbers are not assigned in commit order, so a reader that kept only those could miss changes.
    """

    xid: int
    seq: int

    def __str__(self) -> str:
        return f"{self.xid}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the output of `str`. Raise ValueError for other text and for numbers out of PostgreSQL's range."""
        match = _FORM.fullmatch(text)
        if match is None or int(match[1]) >= 2**64 or int(match[2]) >= 2**63:
            msg = "not an event id of this stream, such as 742-1081"
            raise ValueError(msg)
        return cls(int(match[1]), int(match[2]))


BEGINNING: Final = StreamPosition(0, 0)
"""Before the first change."""
