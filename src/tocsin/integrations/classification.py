"""Derive severity and service from a sender's labels."""

from collections.abc import Mapping, Sequence
from typing import Final

from tocsin.contracts.model import Severity

UNKNOWN_SERVICE: Final = "unknown"
SERVICE_LABELS: Final = ("service", "job", "app", "namespace", "alertname")
"""Labels that may name the service, in order of preference."""
SEVERITY_OF_WORD: Final[Mapping[str, Severity]] = {
    "critical": Severity.CRITICAL,
    "page": Severity.CRITICAL,
    "error": Severity.HIGH,
    "high": Severity.HIGH,
    "warning": Severity.MEDIUM,
    "medium": Severity.MEDIUM,
    "info": Severity.LOW,
    "low": Severity.LOW,
    "none": Severity.LOW,
}


def severity_of(
    word: str | None, severity_of_word: Mapping[str, Severity] = SEVERITY_OF_WORD
) -> tuple[Severity, str | None]:
    """Return the severity for *word*, as its sender writes it, and a remark if it is missing or unknown.

    Such an alert is `high`: an unneeded page is better than a missing one.
    """
    if not word:
        return Severity.HIGH, "The alert has no severity; treated as high."
    known = severity_of_word.get(word.strip().lower())
    if known is not None:
        return known, None
    return Severity.HIGH, f"The severity {word[:64]!r} is unknown; treated as high."


def service_of(labels: Mapping[str, str], service_labels: Sequence[str] = SERVICE_LABELS) -> tuple[str, str | None]:
    """Return the value of the first non-empty of *service_labels*, with a remark unless it is the first label."""
    for label in service_labels:
        service = labels.get(label, "").strip()
        if service:
            return service, None if label == service_labels[0] else f"The service was taken from the label {label!r}."
    return UNKNOWN_SERVICE, "No label names a service."
