import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.alerts.api import PAYLOADS
from tocsin.alerts.domain import IncomingAlert
from tocsin.alerts.receivers import alertmanager, generic
from tocsin.alerts.receivers.alertmanager import label_fingerprint
from tocsin.contracts.alerts import AlertIn, AlertStatus, Link
from tocsin.contracts.model import Severity
from tocsin.kernel.errors import InvalidRequestError, MalformedRequestError

LABELS = {
    "alertname": "InstanceDown",
    "code": "200",
    "instance": "127.0.0.1:9090",
    "job": "prometheus",
    "monitor": "codelab-monitor",
    "severity": "critical",
}
texts = st.text(max_size=20)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


def one(**fields: Any) -> IncomingAlert:
    """Return what the receiver makes of an Alertmanager alert."""
    (alert,) = alertmanager.parse(json.dumps({"alerts": [fields]}).encode())
    return alert


def fits(alert: IncomingAlert) -> None:
    """Fail where an alert exceeds the bounds of Tocsin's own format."""
    fields = asdict(alert) | {"timestamp": alert.starts_at, "links": [link.model_dump() for link in alert.links]}
    AlertIn.model_validate(fields)


def test_a_group_of_alertmanager_is_read_alert_by_alert() -> None:
    first, second = alertmanager.parse((PAYLOADS / "alertmanager-0.25-one-resolved.json").read_bytes())
    assert first == IncomingAlert(
        service="prometheus",
        severity=Severity.CRITICAL,
        message="Instance 127.0.0.1:9090 is down\n"
        "127.0.0.1:9090 of job prometheus has been down for more than 5 minutes.",
        status=AlertStatus.RESOLVED,
        labels=LABELS,
        links=[
            Link(href="https://runbooks.example.net/InstanceDown", text="Runbook"),
            Link(href="http://prometheus.example.net:9090/graph?g0.expr=up+%3D%3D+0", text="Source"),
        ],
        source="http://alertmanager.example.net:9093",
        dedup_key="am:791cec13fcba0368",
        starts_at=datetime(2026, 11, 21, 11, 15, 27, 678620, tzinfo=UTC),
        ends_at=datetime(2026, 11, 21, 11, 15, 30, tzinfo=UTC),
        remark="The service is what the label 'job' says.",
    )
    assert second.status is AlertStatus.FIRING
    assert second.message == "Instance localhost:9090 is down"
    assert second.ends_at is None


@pytest.mark.parametrize(
    ("instance", "expected"), [("127.0.0.1:9090", "791cec13fcba0368"), ("localhost:9090", "8df98227bdd81384")]
)
def test_a_missing_fingerprint_is_made_as_prometheus_makes_it(instance: str, expected: str) -> None:
    labels = {**LABELS, "instance": instance}
    assert label_fingerprint(labels) == expected
    assert one(labels=labels).dedup_key == f"am:{expected}"
    assert one(labels=dict(reversed(labels.items())), fingerprint="").dedup_key == f"am:{expected}"


def test_a_fingerprint_that_is_given_is_the_key_unless_it_is_absurd() -> None:
    assert one(fingerprint="abc", labels=LABELS).dedup_key == "am:abc"
    assert one(fingerprint="a" * 201, labels=LABELS).dedup_key == "am:791cec13fcba0368"


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00-11:00", "soon", None, {}, 10**30])
def test_no_time_is_no_reason_to_refuse_an_alert(time: Any) -> None:
    alert = one(startsAt=time, endsAt=time)
    assert alert.starts_at is None
    assert alert.ends_at is None


def test_times_come_with_nanoseconds_and_offsets() -> None:
    assert one(startsAt="2024-05-05T10:00:00.123456789+02:00").starts_at == datetime(
        2024, 5, 5, 8, 0, 0, 123456, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("annotations", "labels", "message"),
    [
        ({"summary": "s", "description": "d"}, {}, "s\nd"),
        ({"summary": "s", "description": "s"}, {}, "s"),
        ({"description": "d"}, {"alertname": "A"}, "d"),
        ({"message": "m"}, {"alertname": "A"}, "m"),
        ({}, {"alertname": "A"}, "A"),
        ({"summary": "  "}, {}, "An alert without a message."),
    ],
)
def test_the_message_is_the_best_text_there_is(
    annotations: dict[str, str], labels: dict[str, str], message: str
) -> None:
    assert one(annotations=annotations, labels=labels).message == message


def test_a_group_without_a_usable_label_is_of_an_unknown_service_and_not_refused() -> None:
    alert = one(labels={"team": "core"})
    assert alert.service == "unknown"
    assert alert.severity is Severity.HIGH
    assert alert.remark == "No label names a service. The sender gives no severity: taken as high."


def test_a_status_that_nobody_knows_fires() -> None:
    alert = one(status="alerting", labels={"service": "a", "severity": "low"})
    assert alert.status is AlertStatus.FIRING
    assert alert.remark == "The status 'alerting' is not known: taken as firing."


def test_what_is_too_long_or_too_much_is_cut_with_a_remark() -> None:
    labels = {f"label-{number:03}": "x" for number in range(200)} | {"service": "s" * 300, "severity": "page"}
    alert = one(labels=labels, annotations={"summary": "m" * 70_000})
    fits(alert)
    assert len(alert.labels) == 128
    assert alert.service == "s" * 256
    assert alert.severity is Severity.CRITICAL
    assert alert.message.endswith("…")
    assert alert.remark == (
        "The message was cut: it had 70000 characters. Labels were cut: the sender gave 202, or very long ones."
    )


def test_links_that_are_none_are_left_out_with_a_remark() -> None:
    alert = one(
        labels={"service": "a", "severity": "low"},
        generatorURL="javascript:alert(1)",
        annotations={"summary": "s", "runbook_url": "https://r.example/" + "x" * 3000, "dashboard": "http://d.example"},
    )
    assert alert.links == [Link(href="http://d.example", text="Dashboard")]
    assert alert.remark == "Links left out: 2."


@pytest.mark.slow
@given(
    st.dictionaries(
        st.sampled_from(["status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"]),
        anything,
    )
)
def test_whatever_a_look_alike_sends_is_within_bounds_or_refused_with_a_pointer(fields: dict[str, Any]) -> None:
    pointers = []
    try:
        fits(one(**fields))
    except InvalidRequestError as exc:
        pointers = [error["pointer"] for error in exc.errors]
    assert all(pointer.startswith("#/alerts/0/") for pointer in pointers)


@given(st.dictionaries(st.text(max_size=300), st.text(max_size=5_000), max_size=150), st.text(max_size=300))
def test_any_labels_and_any_summary_are_within_bounds(labels: dict[str, str], summary: str) -> None:
    fits(one(labels=labels, annotations={"summary": summary}, generatorURL=summary))


@pytest.mark.parametrize(
    ("body", "alerts"), [(b'{"alerts": null}', 0), (b'{"alerts": []}', 0), (b'{"alerts": [{}]}', 1)]
)
def test_a_group_may_be_empty(body: bytes, alerts: int) -> None:
    assert len(alertmanager.parse(body)) == alerts


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"alerts": 1}', b'{"alerts": [1]}', b'{"alerts": [{"labels": []}]}'])
def test_what_is_no_group_is_refused_with_a_pointer(body: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        alertmanager.parse(body)


@pytest.mark.parametrize("body", [b"", b"{", b'{"alerts": [\xff]}', b"[" * 5_000])
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        alertmanager.parse(body)


def test_the_time_of_a_generic_alert_is_its_begin_or_its_end() -> None:
    body = {"service": " a ", "severity": "LOW", "message": "m\0", "timestamp": "2026-01-01T00:00:00", "dedup_key": "k"}
    at = datetime(2026, 1, 1, tzinfo=UTC)
    (fires,) = generic.parse(json.dumps(body).encode())
    (ends,) = generic.parse(json.dumps({**body, "status": "resolved"}).encode())
    assert (fires.service, fires.severity, fires.message) == ("a", Severity.LOW, "m\N{REPLACEMENT CHARACTER}")
    assert (fires.starts_at, fires.ends_at) == (at, None)
    assert (ends.starts_at, ends.ends_at) == (None, at)
