"""Validate JSON against a model, with the errors of an HTTP response."""

from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from tocsin.kernel.errors import FieldError, InvalidRequestError, MalformedRequestError, TooLargeError

M = TypeVar("M", bound=BaseModel)
REQUEST: Final = {"source": "request"}
"""The context of validation by which types distinguish a value that a caller sent from one that is stored."""
BODY_LIMIT: Final = 512 * 1024
"""The maximum size in bytes of a body from outside."""
MAX_VALUES: Final = 30_000
"""JSON values in one body; the largest valid one, a batch of 200 alerts with 128 labels each, has 29,000. The parser
holds the GIL, so that without a limit a body could block the event loop for seconds, even from a thread. An error costs
as much as its value is large: an object is converted for each field that it lacks."""
MAX_ERRORS: Final = 20
"""The maximum number of errors in a response."""
MAX_BUILT_ERRORS: Final = 1_000
"""More errors than this are only counted: building a list of a hundred thousand would block the event loop."""


def parse_json(body: bytes, model: type[M], *, max_values: int = MAX_VALUES) -> M:
    """Validate *body* against *model*.

    Raise MalformedRequestError if it is not JSON, InvalidRequestError if it is not valid, or TooLargeError if it has
    more than *max_values* values.
    """
    refuse_too_many_values(body, max_values)
    try:
        return model.model_validate_json(body, context=REQUEST)
    except ValidationError as exc:
        if exc.error_count() > MAX_BUILT_ERRORS:
            detail = f"There are {exc.error_count()} errors, too many to list."
            raise InvalidRequestError([{"pointer": "#", "detail": detail}]) from exc
        found = exc.errors(include_url=False, include_context=False, include_input=False)
        if found[0]["type"] == "json_invalid":
            raise MalformedRequestError(found[0]["msg"]) from exc
        raise InvalidRequestError([_field_error(item) for item in found[:MAX_ERRORS]]) from exc


def refuse_too_many_values(body: bytes, max_values: int) -> None:
    """Raise TooLargeError if *body* has more than *max_values* JSON values."""
    if count_values(body) > max_values and count_values(_without_strings(body, max_values)) > max_values:
        msg = f"The body has more than {max_values} values; split it into several requests."
        raise TooLargeError(msg)


def count_values(body: bytes) -> int:
    """Return about how many JSON values *body* has: every one but the first of an object or array follows a comma."""
    return body.count(b",") + body.count(b"{") + body.count(b"[")


def _without_strings(body: bytes, max_values: int) -> bytes:
    """Return JSON without its strings, whose punctuation is text; unchanged with more strings than the values need."""
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    if unescaped.count(b'"') > 4 * (max_values + 1):  # a name and a value have two each
        return body
    return b"".join(unescaped.split(b'"')[::2])


def _field_error(item: Any) -> FieldError:
    path = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in item["loc"])
    return {"pointer": "#" + path[:256], "detail": sentence(item["msg"])}


def sentence(text: str) -> str:
    """Return pydantic's message without its prefix, cut to 256 characters."""
    return text.removeprefix("Value error, ")[:256]
