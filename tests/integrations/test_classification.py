import pytest

from tocsin.contracts.model import Severity
from tocsin.integrations.classification import service_of, severity_of


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("critical", "critical"),
        ("page", "critical"),
        ("error", "high"),
        ("HIGH", "high"),
        (" Warning ", "medium"),
        ("medium", "medium"),
        ("info", "low"),
        ("low", "low"),
        ("none", "low"),
    ],
)
def test_known_words_map_to_the_four_severities(word: str, severity: str) -> None:
    assert severity_of(word) == (Severity(severity), None)


@pytest.mark.parametrize("word", ["p1", "", None, "sev-2"])
def test_an_unknown_severity_is_high_with_a_remark(word: str | None) -> None:
    severity, remark = severity_of(word)
    assert severity is Severity.HIGH
    assert remark is not None
    assert (word or "no severity") in remark


def test_the_service_is_the_first_non_empty_label() -> None:
    labels = {"alertname": "e", "namespace": "d", "app": "c", "job": "b", "service": "a"}
    found = []
    for name in ("service", "job", "app", "namespace", "alertname"):
        found.append(service_of(labels)[0])
        labels[name] = " "
    assert found == ["a", "b", "c", "d", "e"]
    assert service_of(labels) == ("unknown", "No label names a service.")


def test_a_service_from_another_label_gets_a_remark() -> None:
    assert service_of({"service": "a"}) == ("a", None)
    assert service_of({"job": "node"}) == ("node", "The service was taken from the label 'job'.")
