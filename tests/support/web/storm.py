"""The alerts of `demo_night`: one of each result."""

from datetime import timedelta

from tests.support.web import demo_data
from tocsin.contracts.alerts import Alert, AlertAction, AlertStatus, Link
from tocsin.contracts.incidents import Incident
from tocsin.contracts.model import Severity


def alerts_of(checkout: Incident, carrier: Incident) -> dict[str, Alert]:
    """Return alerts of these incidents and of none, newest first, by name."""
    attached = {"action": AlertAction.ATTACHED, "incident_id": checkout.id}
    began = demo_data.ago(seconds=559)
    return {
        "repeated": demo_data.alert(
            4,
            message="HighErrorRate: checkout-api answers 5xx for 7.4 % of requests",
            labels={"region": "eu-central", "code": "5xx"},
            links=[Link(href="https://runbooks.halyard.example/checkout-5xx", text="Runbook: checkout 5xx")],
            dedup_key="checkout-5xx",
            occurrences=28,
            **attached,
        ),
        "attached": demo_data.alert(
            9, message="PaymentAuthTimeout: p99 of authorise at 12.1 s", source="Grafana", **attached
        ),
        "waiting": demo_data.alert(
            28,
            message="JVM heap above 85 % on search-index-4",
            service="search-index",
            severity=Severity.MEDIUM,
            action=AlertAction.PENDING,
        ),
        "ignored": demo_data.alert(
            56,
            message="Backup of warehouse-events is well again",
            service="warehouse-events",
            severity=Severity.LOW,
            source=None,
            integration="generic",
            status=AlertStatus.RESOLVED,
            resolved_at=demo_data.ago(seconds=56),
            action=AlertAction.IGNORED,
        ),
        "new": demo_data.alert(107, message="HighErrorRate: 5.2 % of requests", incident_id=checkout.id),
        "recovered": demo_data.alert(
            559,
            created_at=began,
            message="Carrier sync queue is 38 minutes behind",
            service="carrier-sync",
            severity=Severity.HIGH,
            incident_id=carrier.id,
            status=AlertStatus.RESOLVED,
            resolved_at=began + timedelta(seconds=40),
            remark="The severity “page” is not known; taken as high.",
        ),
    }
