"""The interface of an integration. Everything here is pure: bytes in, alerts out; results in, a reply out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from importlib.resources import files
from typing import Final, TypeAlias
from uuid import UUID

from pydantic import BaseModel

from tocsin.contracts.alerts import AlertAction, AlertStatus, Link
from tocsin.contracts.model import Severity
from tocsin.integrations.classification import SERVICE_LABELS, SEVERITY_OF_WORD
from tocsin.kernel.errors import DomainError

DEFAULT_BODY_LIMIT: Final = 8 * 1024 * 1024
"""Bytes."""
DEFAULT_MAX_VALUES: Final = 300_000
"""JSON values; a group of 10,000 alerts of Alertmanager has some 200,000."""
PAYLOAD_FILES: Final = files("tocsin.integrations") / "payloads"


@dataclass(frozen=True, slots=True)
class IncomingAlert:
    """One alert as its integration parsed it, within the bounds of `tocsin.contracts.alerts.AlertIn`."""

    service: str
    severity: Severity
    message: str
    status: AlertStatus = AlertStatus.FIRING
    labels: dict[str, str] = field(default_factory=dict)
    links: Sequence[Link] = ()
    source: str | None = None
    dedup_key: str | None = None
    starts_at: datetime | None = None
    """When it started, by the sender's clock; None if unknown."""
    ends_at: datetime | None = None
    """When it was resolved, by the sender's clock; None if unknown."""
    remark: str | None = None
    """How the integration interpreted or corrected the request; None if it was unambiguous."""


@dataclass(frozen=True, slots=True)
class IngestResult:
    """The outcome of one alert of a request."""

    alert_id: UUID
    incident_id: UUID | None
    action: AlertAction


@dataclass(frozen=True, slots=True)
class IntegrationConfig:
    """How an integration maps a sender's labels and words to Tocsin's fields."""

    service_labels: Sequence[str] = SERVICE_LABELS
    """Labels that may name the service, in order of preference."""
    severity_of_word: Mapping[str, Severity] = field(default_factory=lambda: SEVERITY_OF_WORD)


DEFAULT_CONFIG: Final = IntegrationConfig()


@dataclass(frozen=True, slots=True)
class Payload:
    """An example request, captured from the sender; tests replay it and the documentation shows it."""

    name: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response in the sender's own protocol."""

    status: HTTPStatus
    body: BaseModel
    headers: Mapping[str, str] = field(default_factory=dict)


Headers: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Integration:
    """One sender: its path, its wire format, and its texts for people."""

    name: str
    """Identifies it in the API, the database and metrics; never changes."""
    label: str
    """Its display name."""
    path: str
    """The path that its requests are posted to."""
    summary: str
    """One sentence on what its path accepts, for the API's description."""
    setup: str
    """How to configure the sender, in Markdown; `{url}` stands for the address of this Tocsin."""
    payloads: Sequence[Payload]
    request_model: type[BaseModel]
    reply_models: Mapping[HTTPStatus, type[BaseModel]]
    detect: Callable[[Headers, bytes], bool]
    """Return whether a request is in this format."""
    parse: Callable[[bytes, IntegrationConfig], list[IncomingAlert]]
    """Return the alerts in a body. Raise MalformedRequestError or InvalidRequestError."""
    respond: Callable[[Sequence[IngestResult]], Reply]
    """Return the reply to a request whose alerts are stored, given the results in the request's order."""
    refuse: Callable[[DomainError], Reply | None] = lambda _: None
    """Return the reply to a request that failed; None for a problem document."""
    description: str = ""
    """Details for callers, beyond the summary."""
    max_values: int = DEFAULT_MAX_VALUES
    """The maximum number of JSON values in a body."""
    body_limit: int = DEFAULT_BODY_LIMIT
    """The maximum size of a body in bytes."""


def captured(integration: str) -> tuple[Payload, ...]:
    """Return the payloads in `payloads/<integration>/`, in the order of their names."""
    found = sorted((PAYLOAD_FILES / integration).iterdir(), key=lambda file: file.name)
    return tuple(Payload(file.name.removesuffix(".json"), file.read_bytes()) for file in found)
