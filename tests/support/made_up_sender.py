"""The module of a made-up sender, as a developer would write it."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from tocsin.contracts.alerts import AlertStatus
from tocsin.contracts.model import Model, Severity
from tocsin.integrations.integration import (
    Headers,
    IncomingAlert,
    IngestResult,
    Integration,
    IntegrationConfig,
    Payload,
    Reply,
)
from tocsin.kernel.errors import DomainError, TooLargeError
from tocsin.kernel.validation import parse_json

PAYLOADS: Final = (
    Payload("smoke", b'{"room": "cellar", "smoke": true}', {"X-Detector": "7"}),
    Payload("clear", b'{"room": "cellar", "smoke": false}', {"X-Detector": "7"}),
)


class Reading(Model):
    """What the detector posts."""

    room: str
    smoke: bool


class Beep(Model):
    """What the detector understands."""

    beep: int


def detect(headers: Headers, _body: bytes) -> bool:
    return "X-Detector" in headers


def parse(body: bytes, _config: IntegrationConfig) -> list[IncomingAlert]:
    reading = parse_json(body, Reading)
    status = AlertStatus.FIRING if reading.smoke else AlertStatus.RESOLVED
    return [IncomingAlert("building", Severity.CRITICAL, f"Smoke: {reading.room}", status, dedup_key=reading.room)]


def respond(results: Sequence[IngestResult]) -> Reply:
    return Reply(HTTPStatus.ACCEPTED, Beep(beep=len(results)), {"X-Beeps": str(len(results))})


def refuse(error: DomainError) -> Reply | None:
    if isinstance(error, TooLargeError):
        return None
    return Reply(HTTPStatus.IM_A_TEAPOT, Beep(beep=0))


INTEGRATION: Final = Integration(
    name="smoke-detector",
    label="Smoke detector",
    path="/api/v1/detectors/smoke",
    summary="Accept a reading of a smoke detector.",
    setup="Set `target` to `{url}/api/v1/detectors/smoke`.",
    payloads=PAYLOADS,
    request_model=Reading,
    reply_models={HTTPStatus.ACCEPTED: Beep},
    detect=detect,
    parse=parse,
    respond=respond,
    refuse=refuse,
    body_limit=64,
)
