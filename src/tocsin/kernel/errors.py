"""What can go wrong, by name. Messages are for people: what happened, and what to do about it."""

from collections.abc import Sequence
from typing import ClassVar, TypedDict


class FieldError(TypedDict):
    """One thing wrong with a body: a JSON Pointer fragment and a sentence."""

    pointer: str
    detail: str


class DomainError(Exception):
    """An error that a caller is told about; `problems.STATUS_OF` says with which status."""

    code: ClassVar[str] = "error"


class MalformedRequestError(DomainError):
    """The body cannot be read at all."""

    code = "malformed-request"


class InvalidRequestError(DomainError):
    """The body or the query can be read, but says something that is not allowed."""

    code = "invalid-request"

    def __init__(self, errors: Sequence[FieldError], message: str = "The request is not valid; see errors.") -> None:
        super().__init__(message)
        self.errors = list(errors)


class ForbiddenError(DomainError):
    """The caller may not do this."""

    code = "forbidden"


class NotFoundError(DomainError):
    """There is no such thing."""

    code = "not-found"


class ConflictError(DomainError):
    """The thing is in a state in which this cannot be done."""

    code = "conflict"


class StaleError(DomainError):
    """The thing has changed since the caller looked at it (RFC 9110, section 13.1.1)."""

    code = "stale"


class TooLargeError(DomainError):
    """The body is larger than this path takes."""

    code = "too-large"


class UnsupportedMediaTypeError(DomainError):
    """The body is of a kind, or packed in a way, that this path does not take."""

    code = "unsupported-media-type"


class MisdirectedRequestError(DomainError):
    """The request names a host that this server does not answer for (RFC 9110, section 15.5.20)."""

    code = "misdirected-request"


class UnavailableError(DomainError):
    """Something that is needed does not answer now; trying again later helps."""

    code = "unavailable"


class DatabaseUnavailableError(UnavailableError):
    """The database does not answer, or broke off. A write's outcome is unknown, not failed."""

    code = "database-unavailable"


class StatementTimeoutError(UnavailableError):
    """The database ended a statement that took too long."""

    code = "statement-timeout"


class LockTimeoutError(StatementTimeoutError):
    """Another transaction has held for too long what a statement waited for."""


class TransactionConflictError(UnavailableError):
    """The database ended this transaction so that another could go on: repeat it with the same ids."""

    code = "transaction-conflict"


class CommitLostError(DatabaseUnavailableError):
    """COMMIT was answered by ROLLBACK: an error inside the transaction was swallowed. A bug, made visible."""

    code = "commit-lost"


class DataRefusedError(Exception):
    """The server refuses the values of a statement, so no retry will help: a bug, unless they are a sender's."""


class UpstreamError(UnavailableError):
    """Another service does not answer: no connection, time-out, or 429, 5xx."""

    code = "upstream-unavailable"


class RejectedError(DomainError):
    """Another service refuses the request for good (4xx): trying again does not help."""

    code = "upstream-rejected"

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
