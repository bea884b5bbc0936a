"""Map errors to HTTP responses: RFC 9457 problem documents."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from pydantic import BaseModel

from tocsin.kernel import errors
from tocsin.kernel.request_id import REQUEST_ID

log = structlog.get_logger(__name__)
RETRY_AFTER_SECONDS: Final = "1"

CLIENT_CLOSED: Final = 499
"""nginx's code: the client closed the connection before the response."""

STATUS_OF: Final[dict[type[errors.DomainError], HTTPStatus]] = {
    errors.MalformedRequestError: HTTPStatus.BAD_REQUEST,
    errors.UnauthenticatedError: HTTPStatus.UNAUTHORIZED,
    errors.ForbiddenError: HTTPStatus.FORBIDDEN,
    errors.NotFoundError: HTTPStatus.NOT_FOUND,
    errors.BodyTimeoutError: HTTPStatus.REQUEST_TIMEOUT,
    errors.ConflictError: HTTPStatus.CONFLICT,
    errors.StaleError: HTTPStatus.PRECONDITION_FAILED,
    errors.TooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UnsupportedMediaTypeError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.MisdirectedRequestError: HTTPStatus.MISDIRECTED_REQUEST,
    errors.ThrottledError: HTTPStatus.TOO_MANY_REQUESTS,
    errors.InvalidRequestError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.RejectedError: HTTPStatus.BAD_GATEWAY,
    errors.UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.CommitLostError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""The complete mapping; an error that is not listed has the status of its nearest ancestor."""
DETAIL_OF: Final[dict[int, str]] = {
    HTTPStatus.NOT_FOUND: "There is nothing at this address.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not support this method; see the Allow header.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than this address allows.",
    HTTPStatus.BAD_REQUEST: "The request cannot be parsed.",
    HTTPStatus.INTERNAL_SERVER_ERROR: ("An internal error occurred. Give the request id to the operator of Tocsin."),
}


class FieldProblem(BaseModel):
    """One validation error: where (a JSON Pointer fragment, RFC 6901, or a parameter) and what."""

    pointer: str
    detail: str


class Problem(BaseModel):
    """The response to an error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[FieldProblem] = []


def problem(
    status: HTTPStatus,
    code: str,
    detail: str,
    *,
    field_errors: Sequence[errors.FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Build a problem document; a 503 also has a `Retry-After`."""
    body: dict[str, Any] = {
        "type": f"urn:tocsin:problem:{code}",
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
        "request_id": REQUEST_ID.get(),
    }
    if field_errors:
        body["errors"] = list(field_errors)
    given = dict(headers or {})
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        given.setdefault("Retry-After", RETRY_AFTER_SECONDS)
    return web.json_response(body, status=status, headers=given, content_type="application/problem+json")


def problem_of(exc: errors.DomainError) -> web.Response:
    """Build the problem document of a domain error."""
    found = exc.errors if isinstance(exc, errors.InvalidRequestError) else ()
    headers: dict[str, str] = {}
    if isinstance(exc, errors.OverloadedError | errors.ThrottledError):
        headers[hdrs.RETRY_AFTER] = str(exc.retry_after)
    if isinstance(exc, errors.UnauthenticatedError):
        headers[hdrs.WWW_AUTHENTICATE] = exc.scheme
    return problem(status_of(type(exc)), exc.code, str(exc), field_errors=found, headers=headers)


def status_of(error: type[errors.DomainError]) -> HTTPStatus:
    """Return the status of *error*."""
    return next(STATUS_OF[kind] for kind in error.__mro__ if kind in STATUS_OF)


def problem_of_http(exc: web.HTTPException) -> web.Response:
    """Build the problem document of an error that aiohttp raises: 404, 405, 413."""
    status = HTTPStatus(exc.status)
    allow = {"Allow": exc.headers["Allow"]} if "Allow" in exc.headers else None
    code = status.phrase.lower().replace(" ", "-")
    return problem(status, code, DETAIL_OF.get(status, status.description), headers=allow)


@web.middleware
async def problem_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into a problem document; a client that has disconnected gets none."""
    try:
        return await handler(request)
    except errors.ClientDisconnectedError:
        return web.Response(status=CLIENT_CLOSED)
    except errors.DomainError as exc:
        if isinstance(exc, errors.CommitLostError):
            log.exception("COMMIT became ROLLBACK: an error inside the transaction was swallowed", path=request.path)
        return problem_of(exc)
    except web.HTTPException as exc:
        if exc.status < HTTPStatus.BAD_REQUEST:
            raise
        return problem_of_http(exc)
    except Exception:
        log.exception("unhandled error", path=request.path)
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        return problem(status, "internal-error", DETAIL_OF[status])
