"""Whom a response is for, and which contact addresses they may see in it."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Self

from tocsin.kernel.principal import Principal, Scope


@dataclass(frozen=True, slots=True)
class Reader:
    """Whoever receives a response."""

    sees_all: bool
    known: frozenset[str] = frozenset()
    """In lower case, the addresses that a reader without `sees_all` may see: their own, and those of their teams."""

    @classmethod
    def of(cls, principal: Principal) -> Self:
        """Return the reader that *principal* is: admins, our services and open principals see every address."""
        return cls(Scope.ADMIN in principal.scopes)

    def sees(self, address: str) -> bool:
        """Return whether the reader may see *address*."""
        return self.sees_all or address.lower() in self.known


STRANGER: Final = Reader(sees_all=False)
"""A reader who sees no address."""
READER: Final[ContextVar[Reader]] = ContextVar("READER", default=STRANGER)
"""The reader of the response to the present request."""
