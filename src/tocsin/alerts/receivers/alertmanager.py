"""Alertmanager's webhook, version 4, and its look-alikes (vmalert, Mimir).

After prometheus/alertmanager `notify/webhook/webhook.go` and `template/template.go`. Each alert of a group stands for
itself, with its own status: a group fires as long as one of its alerts does.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, Final

from pydantic import Field

from tocsin.alerts.domain import IncomingAlert, service_of, severity_of
from tocsin.alerts.receivers.leniency import (
    MAX_LINE,
    LooseInstant,
    LooseText,
    LooseTexts,
    bounded_labels,
    bounded_message,
    remark_of,
    usable_links,
)
from tocsin.contracts.alerts import AlertStatus
from tocsin.contracts.model import Model
from tocsin.kernel.requests import parse_json

RECEIVER: Final = "alertmanager"
MAX_ALERTS: Final = 10_000
MAX_FINGERPRINT: Final = 200
MAX_FNV_BYTES: Final = 4_096
"""Of labels, whose FNV-1a is taken a byte at a time."""
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

    status: LooseText = AlertStatus.FIRING.value
    labels: LooseTexts | None = None
    annotations: LooseTexts | None = None
    startsAt: LooseInstant = None  # noqa: N815 - Alertmanager's name
    endsAt: LooseInstant = None  # noqa: N815 - Alertmanager's name
    generatorURL: LooseText = ""  # noqa: N815 - Alertmanager's name
    fingerprint: LooseText = ""


class Webhook(Model):
    """What Alertmanager posts. Only what is used is named; the request is stored as it came."""

    alerts: Annotated[list[WebhookAlert] | None, Field(max_length=MAX_ALERTS)]
    externalURL: LooseText = ""  # noqa: N815 - Alertmanager's name


def parse(body: bytes) -> list[IncomingAlert]:
    """Read a group's alerts. Raise MalformedRequestError, and InvalidRequestError where there is no list of alerts."""
    group = parse_json(body, Webhook)
    source = group.externalURL[:MAX_LINE] or RECEIVER
    return [_alert(alert, source) for alert in group.alerts or ()]


def label_fingerprint(labels: dict[str, str]) -> str:
    """Return the FNV-1a (64 bit) of the sorted labels in hex, as prometheus/common `model/signature.go` has it.

    Of very long ones another hash: they are of no Alertmanager that has to be agreed with.
    """
    text = b"".join(b"%b\xff%b\xff" % (name.encode(), labels[name].encode()) for name in sorted(labels))
    if len(text) > MAX_FNV_BYTES:
        return blake2b(text, digest_size=16).hexdigest()
    value = FNV_OFFSET
    for byte in text:
        value = (value ^ byte) * FNV_PRIME & FNV_MASK
    return f"{value:016x}"


def _alert(given: WebhookAlert, source: str) -> IncomingAlert:
    all_labels, annotations = given.labels or {}, given.annotations or {}
    status, status_remark = _status(given.status)
    service, service_remark = service_of(all_labels)
    severity, severity_remark = severity_of(all_labels.get("severity"))
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
    return AlertStatus.FIRING, f"The status {word[:64]!r} is not known: taken as firing."


def _message(labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    """Return the summary and, below it, the description; without either the alert's name."""
    texts = [annotations.get(name, "").strip() for name in ("summary", "description", "message")]
    found = list(dict.fromkeys(filter(None, texts)))
    return "\n".join(found) or labels.get("alertname", "").strip() or "An alert without a message."


def _links(source: str, annotations: Mapping[str, str]) -> list[tuple[str, str]]:
    annotated = [(annotations.get(name, ""), text) for name, text in LINK_ANNOTATIONS.items()]
    return [*annotated, (source, "Source")]
