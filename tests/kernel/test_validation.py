"""How many values a body may have, and what a body within the limits costs."""

import gc
import json
import time  # noqa: TID251 - the CPU time of a thread
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tocsin.contracts.alerts import AlertIn
from tocsin.incidents.routes import ROUTES as INCIDENTS
from tocsin.integrations import alertmanager
from tocsin.integrations.integration import DEFAULT_CONFIG, DEFAULT_MAX_VALUES
from tocsin.kernel.errors import InvalidRequestError, TooLargeError
from tocsin.kernel.openapi import operation_of
from tocsin.kernel.requests import INTERNAL_BODY_LIMIT
from tocsin.kernel.validation import MAX_VALUES, parse_json, refuse_too_many_values
from tocsin.notifications.routes import ROUTES as NOTIFICATIONS
from tocsin.oncall.routes import ROUTES as ONCALL

MAX_SECONDS = 0.25
"""Of CPU time: three times what the costliest body needs. Without the limits it would be seconds."""
PUNCTUATION = st.text(alphabet=',{}[]:"\\n\u2028\0é')
JSON = st.recursive(
    st.none() | st.integers() | PUNCTUATION,
    lambda inner: st.lists(inner) | st.dictionaries(PUNCTUATION, inner),
)


def values_of(document: Any) -> int:
    """Return the number of commas, and of opening brackets and braces, outside strings."""
    if isinstance(document, list | dict):
        inner = document.values() if isinstance(document, dict) else document
        return 1 + max(0, len(document) - 1) + sum(map(values_of, inner))
    return 0


@given(JSON, st.booleans())
def test_punctuation_in_strings_is_not_counted_as_values(document: Any, ascii_only: bool) -> None:  # noqa: FBT001
    body = json.dumps(document, ensure_ascii=ascii_only).encode()
    number = values_of(document)
    refuse_too_many_values(body, number)
    if number:
        with pytest.raises(TooLargeError):
            refuse_too_many_values(body, number - 1)


def test_a_message_of_commas_is_valid_however_many_there_are() -> None:
    given = {"service": "checkout", "severity": "high", "message": "," * 65_536}
    assert parse_json(json.dumps(given).encode(), AlertIn).message == "," * 65_536


def models() -> list[type[BaseModel]]:
    described = [operation_of(route.handler) for route in (*INCIDENTS, *ONCALL, *NOTIFICATIONS)]
    return [AlertIn, *dict.fromkeys(found.body for found in described if found is not None and found.body is not None)]


def bodies(model: type[BaseModel]) -> dict[str, bytes]:
    """Return bodies with as many values as are allowed, all of them in one place."""
    names = b",".join(b'"k%d":1' % number for number in range(MAX_VALUES - 20))
    objects = b",".join([b"{}"] * (MAX_VALUES // 2 - 20))
    found = {"names": b"{%b}" % names}
    for field in model.model_fields:
        name = field.encode()
        found[f"{field}: names"] = b'{"%b":{%b}}' % (name, names)
        found[f"{field}: objects"] = b'{"%b":[%b]}' % (name, objects)
        found[f"{field}: labels"] = b'{"%b":[{"labels":{%b}}]}' % (name, names)
        found[f"{field}: contacts"] = b'{"%b":[{"contacts":[%b]}]}' % (name, objects)
    return found


@pytest.fixture
def frozen() -> Iterator[None]:
    """Let collections skip the objects of earlier tests, as those of a service skip what lives as long as it."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_no_body_within_the_limits_blocks_the_event_loop(model: type[BaseModel]) -> None:
    for shape, body in bodies(model).items():
        before = time.thread_time()
        with suppress(InvalidRequestError):  # some models ignore it
            parse_json(body, model)
        assert time.thread_time() - before < MAX_SECONDS, shape


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize("unit", [b",", b'"', b'\\"', b"\\\\", b'"",', b"{},", b'"\\\\",'])
def test_a_body_with_too_many_values_is_refused_soon(unit: bytes) -> None:
    body = b"," * (MAX_VALUES + 1) + unit * (INTERNAL_BODY_LIMIT // len(unit))
    before = time.thread_time()
    with pytest.raises(TooLargeError):
        parse_json(body, AlertIn)
    assert time.thread_time() - before < MAX_SECONDS


def test_a_group_of_ten_thousand_alerts_is_within_the_limit() -> None:
    group = json.loads(alertmanager.PAYLOADS[0].body)
    group["alerts"] = (group["alerts"] * alertmanager.MAX_ALERTS)[: alertmanager.MAX_ALERTS]
    body = json.dumps(group).encode()
    refuse_too_many_values(body, DEFAULT_MAX_VALUES)
    assert len(alertmanager.parse(body, DEFAULT_CONFIG)) == alertmanager.MAX_ALERTS
