"""Typed errors. Their messages are for people: the problem and what to do about it."""

from collections.abc import Sequence
from typing import ClassVar, TypedDict


class FieldError(TypedDict):
    """One validation error: a JSON Pointer fragment and a message."""

    pointer: str
    detail: str


class DomainError(Exception):
    """An error that becomes a problem document, with the status in `problems.STATUS_OF`."""

    code: ClassVar[str] = "error"


class MalformedRequestError(DomainError):
    """The request cannot be parsed."""

    code = "malformed-request"


class InvalidRequestError(DomainError):
    """The body or the query can be parsed, but is not valid."""

    code = "invalid-request"

    def __init__(self, errors: Sequence[FieldError], message: str = "The request is not valid; see errors.") -> None:
        super().__init__(message)
        self.errors = list(errors)


class UnauthenticatedError(DomainError):
    """The caller has not proved who it is (RFC 9110, section 15.5.2)."""

    code = "unauthenticated"

    def __init__(self, message: str, *, scheme: str) -> None:
        """*scheme* is the authentication scheme by which the caller can prove it."""
        super().__init__(message)
        self.scheme = scheme


class ForbiddenError(DomainError):
    """The caller may not do this."""

    code = "forbidden"


class ThrottledError(DomainError):
    """Too many attempts failed; after *retry_after* seconds, another one is allowed (RFC 6585, section 4)."""

    code = "too-many-attempts"

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotFoundError(DomainError):
    """The resource does not exist."""

    code = "not-found"


class ConflictError(DomainError):
    """The resource's state does not allow the change."""

    code = "conflict"


class StaleError(DomainError):
    """The resource has changed since the client read it (RFC 9110, section 13.1.1)."""

    code = "stale"


class TooLargeError(DomainError):
    """The body is larger than the path allows."""

    code = "too-large"


class BodyTimeoutError(DomainError):
    """The body did not arrive in time."""

    code = "body-timeout"


class UnsupportedMediaTypeError(DomainError):
    """The body's media type or encoding is not supported."""

    code = "unsupported-media-type"


class MisdirectedRequestError(DomainError):
    """The request names a host that this server does not serve (RFC 9110, section 15.5.20)."""

    code = "misdirected-request"


class UnavailableError(DomainError):
    """A dependency is unavailable; a retry may succeed."""

    code = "unavailable"


class OverloadedError(UnavailableError):
    """More work arrives than can be done; after *retry_after* seconds, a retry may succeed."""

    code = "overloaded"

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DatabaseUnavailableError(UnavailableError):
    """The database cannot be reached, or the connection was lost: the outcome of a write is then unknown."""

    code = "database-unavailable"


class StatementTimeoutError(UnavailableError):
    """The database cancelled a statement that took too long."""

    code = "statement-timeout"


class LockTimeoutError(StatementTimeoutError):
    """A statement waited too long for a lock of another transaction."""


class TransactionConflictError(UnavailableError):
    """The database aborted this transaction in favour of another one: retry it with the same ids."""

    code = "transaction-conflict"


class CommitLostError(DatabaseUnavailableError):
    """COMMIT became ROLLBACK because an error inside the transaction was swallowed: a bug."""

    code = "commit-lost"


class ConfigurationError(Exception):
    """A file that the settings name cannot be used: the process must not start with it."""


class ClientDisconnectedError(Exception):
    """The client closed the connection before it had sent its request, or before it could receive the response."""


class DataRefusedError(Exception):
    """The server refuses a statement's values: a bug, unless a sender supplied them. A retry does not help."""


class UpstreamError(UnavailableError):
    """Another service is unavailable: no connection, a time-out, 429 or 5xx."""

    code = "upstream-unavailable"


class RejectedError(DomainError):
    """Another service rejected the request (4xx): a retry does not help."""

    code = "upstream-rejected"

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
