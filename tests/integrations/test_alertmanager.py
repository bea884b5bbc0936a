import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.alerts.api import payload
from tests.support.integrations import assert_within_bounds
from tocsin.contracts.alerts import AlertStatus, Link
from tocsin.contracts.model import Severity
from tocsin.integrations import alertmanager
from tocsin.integrations.alertmanager import label_fingerprint
from tocsin.integrations.integration import DEFAULT_CONFIG, IncomingAlert
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


def parse(body: bytes) -> list[IncomingAlert]:
    return alertmanager.parse(body, DEFAULT_CONFIG)


def one(**fields: Any) -> IncomingAlert:
    """Return what a group with one alert of these *fields* is parsed to."""
    (alert,) = parse(json.dumps({"alerts": [fields]}).encode())
    return alert


def test_each_alert_of_a_group_is_parsed_with_its_own_status() -> None:
    first, second = parse(payload("alertmanager", "0.25-one-resolved"))
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
        remark="The service was taken from the label 'job'.",
    )
    assert second.status is AlertStatus.FIRING
    assert second.message == "Instance localhost:9090 is down"
    assert second.ends_at is None


@pytest.mark.parametrize(
    ("instance", "expected"), [("127.0.0.1:9090", "791cec13fcba0368"), ("localhost:9090", "8df98227bdd81384")]
)
def test_a_missing_fingerprint_is_computed_as_prometheus_does(instance: str, expected: str) -> None:
    labels = {**LABELS, "instance": instance}
    assert label_fingerprint(labels) == expected
    assert one(labels=labels).dedup_key == f"am:{expected}"
    assert one(labels=dict(reversed(labels.items())), fingerprint="").dedup_key == f"am:{expected}"


def test_the_given_fingerprint_is_the_key_unless_it_is_too_long() -> None:
    assert one(fingerprint="abc", labels=LABELS).dedup_key == "am:abc"
    assert one(fingerprint="a" * 201, labels=LABELS).dedup_key == "am:791cec13fcba0368"


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00-11:00", "soon", None, {}, 10**30])
def test_an_invalid_time_counts_as_absent(time: Any) -> None:
    alert = one(startsAt=time, endsAt=time)
    assert alert.starts_at is None
    assert alert.ends_at is None


def test_times_may_have_nanoseconds_and_offsets() -> None:
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
def test_the_message_is_the_most_informative_annotation(
    annotations: dict[str, str], labels: dict[str, str], message: str
) -> None:
    assert one(annotations=annotations, labels=labels).message == message


def test_an_alert_without_a_usable_label_gets_an_unknown_service_and_is_accepted() -> None:
    alert = one(labels={"team": "core"})
    assert alert.service == "unknown"
    assert alert.severity is Severity.HIGH
    assert alert.remark == "No label names a service. The alert has no severity; treated as high."


def test_an_unknown_status_counts_as_firing() -> None:
    alert = one(status="alerting", labels={"service": "a", "severity": "low"})
    assert alert.status is AlertStatus.FIRING
    assert alert.remark == "The status 'alerting' is unknown; treated as firing."


def test_long_values_and_surplus_labels_are_truncated_with_a_remark() -> None:
    labels = {f"label-{number:03}": "x" for number in range(200)} | {"service": "s" * 300, "severity": "page"}
    alert = one(labels=labels, annotations={"summary": "m" * 70_000})
    assert_within_bounds(alert)
    assert len(alert.labels) == 128
    assert alert.service == "s" * 256
    assert alert.severity is Severity.CRITICAL
    assert alert.message.endswith("…")
    assert alert.remark == "The message was cut: it had 70000 characters. There were 202 labels; 128 are kept."


def test_invalid_links_are_omitted_with_a_remark() -> None:
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
def test_arbitrary_fields_are_coerced_within_bounds_or_refused_with_a_pointer(fields: dict[str, Any]) -> None:
    pointers = []
    try:
        assert_within_bounds(one(**fields))
    except InvalidRequestError as exc:
        pointers = [error["pointer"] for error in exc.errors]
    assert all(pointer.startswith("#/alerts/0/") for pointer in pointers)


@given(st.dictionaries(st.text(max_size=300), st.text(max_size=5_000), max_size=150), st.text(max_size=300))
def test_any_labels_and_any_summary_are_within_bounds(labels: dict[str, str], summary: str) -> None:
    assert_within_bounds(one(labels=labels, annotations={"summary": summary}, generatorURL=summary))


@pytest.mark.parametrize(
    ("body", "alerts"), [(b'{"alerts": null}', 0), (b'{"alerts": []}', 0), (b'{"alerts": [{}]}', 1)]
)
def test_a_group_may_be_empty(body: bytes, alerts: int) -> None:
    assert len(parse(body)) == alerts


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"alerts": 1}', b'{"alerts": [1]}', b'{"alerts": [{"labels": []}]}'])
def test_json_that_is_not_a_group_is_invalid(body: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        parse(body)


@pytest.mark.parametrize("body", [b"", b"{", b'{"alerts": [\xff]}', b"[" * 5_000])
def test_a_body_that_is_not_json_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        parse(body)
