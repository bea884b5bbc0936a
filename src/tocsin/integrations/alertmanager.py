"""Alertmanager's webhook, version 4, and compatible senders (vmalert, Mimir).

Based on prometheus/alertmanager `notify/webhook/webhook.go` and `template/template.go`. Each alert of a group has its
own status; the group's status is `firing` while any of its alerts fires, and is not used.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from http import HTTPStatus
from typing import Annotated, Final

from pydantic import BaseModel, Field, ValidationError

from tocsin.contracts.alerts import AlertStatus, ReceivedAlert, ReceivedAlerts
from tocsin.contracts.model import Model
from tocsin.integrations.classification import service_of, severity_of
from tocsin.integrations.coercion import (
    MAX_LINE,
    CoercedInstant,
    CoercedText,
    CoercedTexts,
    bounded_labels,
    bounded_message,
    remark_of,
    usable_links,
)
from tocsin.integrations.integration import (
    DEFAULT_MAX_VALUES,
    Headers,
    IncomingAlert,
    IngestResult,
    Integration,
    IntegrationConfig,
    Reply,
    captured,
)
from tocsin.kernel.validation import parse_json

NAME: Final = "alertmanager"
PAYLOADS: Final = captured(NAME)
SETUP: Final = """\
Add a webhook receiver to `alertmanager.yml`:

```yaml
receivers:
  - name: tocsin
    webhook_configs:
      - url: {url}/api/v1/receivers/alertmanager
```
"""
MAX_ALERTS: Final = 10_000
MAX_FINGERPRINT: Final = 200
MAX_FNV_BYTES: Final = 4_096
"""The maximum size of labels that are hashed with FNV-1a, which is slow in Python."""
FNV_OFFSET: Final = 14_695_981_039_346_656_037
FNV_PRIME: Final = 1_099_511_628_211
FNV_MASK: Final = (1 << 64) - 1
LINK_ANNOTATIONS: Final = {
    "runbook_url": "Runbook",
    "runbook": "Runbook",
    "dashboard_url": "Dashboard",
    "dashboard": "Dashboard",
}


class WebhookAlert(Model):
    """One alert of a group."""

    status: CoercedText = AlertStatus.FIRING.value
    labels: CoercedTexts | None = None
    annotations: CoercedTexts | None = None
    startsAt: CoercedInstant = None  # noqa: N815 - Alertmanager's name
    endsAt: CoercedInstant = None  # noqa: N815 - Alertmanager's name
    generatorURL: CoercedText = ""  # noqa: N815 - Alertmanager's name
    fingerprint: CoercedText = ""


class Webhook(Model):
    """The body that Alertmanager posts. Only the fields in use are declared; the raw request is stored."""

    alerts: Annotated[list[WebhookAlert], Field(max_length=MAX_ALERTS, fail_fast=True)] | None
    externalURL: CoercedText = ""  # noqa: N815 - Alertmanager's name


class Envelope(BaseModel):
    """The fields that identify a request of Alertmanager or a compatible sender."""

    alerts: list[dict[str, object]] | None
    groupKey: str  # noqa: N815 - Alertmanager's name


def detect(_headers: Headers, body: bytes) -> bool:
    """Return whether *body* is a group of Alertmanager's webhook."""
    try:
        Envelope.model_validate_json(body)
    except ValidationError:
        return False
    return True


def parse(body: bytes, config: IntegrationConfig) -> list[IncomingAlert]:
    """Return the alerts of a group. Raise MalformedRequestError, or InvalidRequestError without a list of alerts."""
    group = parse_json(body, Webhook, max_values=DEFAULT_MAX_VALUES)
    source = group.externalURL[:MAX_LINE] or NAME
    return [_alert(alert, source, config) for alert in group.alerts or ()]


def respond(results: Sequence[IngestResult]) -> Reply:
    """Return 200 with the outcome of each alert; Alertmanager reads the status only."""
    received = [
        ReceivedAlert(alert_id=result.alert_id, incident_id=result.incident_id, action=result.action)
        for result in results
    ]
    return Reply(HTTPStatus.OK, ReceivedAlerts(alerts=received))


def label_fingerprint(labels: dict[str, str]) -> str:
    """Return the 64-bit FNV-1a of the sorted labels in hex, as prometheus/common `model/signature.go` computes it.

    Longer labels are hashed with BLAKE2b instead; no real sender has such labels.
    """
    text = b"".join(b"%b\xff%b\xff" % (name.encode(), labels[name].encode()) for name in sorted(labels))
    if len(text) > MAX_FNV_BYTES:
        return blake2b(text, digest_size=16).hexdigest()
    value = FNV_OFFSET
    for byte in text:
        value = (value ^ byte) * FNV_PRIME & FNV_MASK
    return f"{value:016x}"


def _alert(given: WebhookAlert, source: str, config: IntegrationConfig) -> IncomingAlert:
    all_labels, annotations = given.labels or {}, given.annotations or {}
    status, status_remark = _status(given.status)
    service, service_remark = service_of(all_labels, config.service_labels)
    severity, severity_remark = severity_of(all_labels.get("severity"), config.severity_of_word)
    message, message_remark = bounded_message(_message(all_labels, annotations))
    labels, labels_remark = bounded_labels(all_labels)
    links, links_remark = usable_links(_links(given.generatorURL, annotations))
    known = given.fingerprint.strip()
    key = known if 0 < len(known) <= MAX_FINGERPRINT else label_fingerprint(all_labels)
    return IncomingAlert(
        service=service[:MAX_LINE].strip(),
        severity=severity,
        message=message,
        status=status,
        labels=labels,
        links=links,
        source=source,
        dedup_key=f"am:{key}",
        starts_at=given.startsAt,
        ends_at=given.endsAt,
        remark=remark_of(service_remark, severity_remark, status_remark, message_remark, labels_remark, links_remark),
    )


def _status(word: str) -> tuple[AlertStatus, str | None]:
    known = word.strip().lower()
    if known in set(AlertStatus):
        return AlertStatus(known), None
    return AlertStatus.FIRING, f"The status {word[:64]!r} is unknown; treated as firing."


def _message(labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    """Return the summary and, below it, the description; or the alert's name if both are empty."""
    texts = [annotations.get(name, "").strip() for name in ("summary", "description", "message")]
    found = list(dict.fromkeys(filter(None, texts)))
    return "\n".join(found) or labels.get("alertname", "").strip() or "An alert without a message."


def _links(source: str, annotations: Mapping[str, str]) -> list[tuple[str, str]]:
    annotated = [(annotations.get(name, ""), text) for name, text in LINK_ANNOTATIONS.items()]
    return [*annotated, (source, "Source")]


INTEGRATION: Final = Integration(
    name=NAME,
    label="Alertmanager",
    path="/api/v1/receivers/alertmanager",
    summary="Accept a group of alerts of a Prometheus Alertmanager's `webhook_configs` (version 4).",
    description=(
        "Each alert is handled with its own status. Its fingerprint is its deduplication key, so that repeats and "
        "resolves find the open alert."
    ),
    setup=SETUP,
    payloads=PAYLOADS,
    request_model=Webhook,
    reply_models={HTTPStatus.OK: ReceivedAlerts},
    detect=detect,
    parse=parse,
    respond=respond,
)
