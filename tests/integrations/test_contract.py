"""What every registered integration must fulfil, checked with its own captured payloads."""

from http import HTTPStatus
from itertools import product
from typing import Final

import pytest

from tests.support import integrations_table
from tests.support.integrations import assert_within_bounds
from tocsin.contracts.alerts import AlertAction
from tocsin.integrations import INTEGRATIONS, label_of, register
from tocsin.integrations.integration import DEFAULT_CONFIG, IngestResult, Integration, Payload
from tocsin.kernel.errors import MalformedRequestError, UnavailableError
from tocsin.kernel.ids import new_id

EXAMPLES: Final = [(integration, payload) for integration in INTEGRATIONS.values() for payload in integration.payloads]
EACH = pytest.mark.parametrize("integration", list(INTEGRATIONS.values()), ids=INTEGRATIONS)
EACH_PAYLOAD = pytest.mark.parametrize(
    ("integration", "payload"),
    EXAMPLES,
    ids=[f"{sender.name}-{example.name}" for sender, example in EXAMPLES],
)


@EACH
def test_an_integration_describes_itself(integration: Integration) -> None:
    assert integration.payloads
    assert integration.label
    assert integration.summary.endswith(".")
    assert integration.path.startswith("/api/")
    assert f"{{url}}{integration.path}" in integration.setup


@EACH_PAYLOAD
def test_a_captured_payload_is_parsed_within_bounds(integration: Integration, payload: Payload) -> None:
    alerts = integration.parse(payload.body, DEFAULT_CONFIG)
    assert alerts
    for alert in alerts:
        assert_within_bounds(alert)
        assert alert.dedup_key, "without a key its resolve would not find it"


@EACH_PAYLOAD
def test_a_captured_payload_is_detected_by_its_own_integration_only(integration: Integration, payload: Payload) -> None:
    detected = [other.name for other in INTEGRATIONS.values() if other.detect(payload.headers, payload.body)]
    assert detected == [integration.name]


@pytest.mark.parametrize(
    ("integration", "body"),
    list(product(INTEGRATIONS.values(), [b"", b"{", b"null", b"[]", b"{}", b"\xff", b"[" * 5_000])),
)
def test_a_body_of_another_format_is_not_detected(integration: Integration, body: bytes) -> None:
    assert not integration.detect({}, body)


@pytest.mark.parametrize("action", list(AlertAction))
@EACH
def test_every_action_has_a_declared_reply(integration: Integration, action: AlertAction) -> None:
    reply = integration.respond([IngestResult(new_id(), None, action)])
    assert HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES
    assert type(reply.body) is integration.reply_models[reply.status]
    assert reply.body.model_dump_json()


@pytest.mark.parametrize("error", [MalformedRequestError("m"), UnavailableError("u")])
@EACH
def test_a_refusal_is_never_a_success(
    integration: Integration, error: MalformedRequestError | UnavailableError
) -> None:
    reply = integration.refuse(error)
    assert reply is None or reply.status >= HTTPStatus.BAD_REQUEST


def test_a_name_or_path_cannot_be_registered_twice() -> None:
    with pytest.raises(ValueError, match="'generic'"):
        register(INTEGRATIONS["generic"])


def test_an_unregistered_name_is_its_own_label() -> None:
    assert label_of("generic") == "Tocsin's own format"
    assert label_of("nagios") == "nagios"


def test_the_senders_in_the_documentation_are_those_of_the_registry() -> None:
    assert integrations_table.written() == integrations_table.render(), "run `make docs`"
