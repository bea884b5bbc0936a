"""Live Incident Overview: current incidents, incoming alerts, and paging."""

from grafana.generate.incidents import (
    ACKNOWLEDGEMENT_LIMITS,
    MTTA,
    MTTR,
    RESOLUTION_LIMITS,
    VARIABLES,
    deduplicated,
    last_day,
)
from grafana.generate.layout import Row
from grafana.generate.layout import dashboard as laid_out
from grafana.generate.panels import JSON, ZERO, Panel, Query, bars, gauge, series, stat, table

UNRESOLVED = (
    f"sum by (severity) ({deduplicated('tocsin_incidents_service_unresolved_incidents')})"
    ' or 0 * max by (severity) (tocsin_incidents_unresolved_incidents{severity=~"$severity"})'
)


def dashboard() -> JSON:
    """Return the dashboard."""
    return laid_out(
        "tocsin-live",
        "Live Incident Overview",
        "Open incidents, who is on call, incoming alerts, and paging.",
        since="now-6h",
        refresh="10s",
        variables=VARIABLES,
        rows=[Row("Now", _now()), Row("Incoming alerts", _incoming()), Row("Paging", _paging())],
    )


def _now() -> list[Panel]:
    return [
        stat(
            "Unresolved, by severity",
            "Incidents that are open, acknowledged or in progress, of the selected services, teams and severities.",
            Query(UNRESOLVED, "{{severity}}"),
            unit="short",
            width=8,
            thresholds=((None, "green"), (1, "orange"), (10, "red")),
        ),
        stat(
            "By state",
            "All unresolved incidents. Open ones are unacknowledged.",
            Query('max by (status) (incidents_total{status!="resolved"})', "{{status}}"),
            unit="short",
            width=6,
            thresholds=((None, "green"), (10, "orange"), (50, "red")),
        ),
        gauge(
            "MTTA, last 24 hours",
            "Mean time from opening to acknowledgement, of the selected incidents opened in the last 24 hours.",
            Query(MTTA),
            unit="s",
            maximum=1800,
            thresholds=ACKNOWLEDGEMENT_LIMITS,
            width=5,
        ),
        gauge(
            "MTTR, last 24 hours",
            "Mean time from opening to resolution, of the selected incidents opened in the last 24 hours.",
            Query(MTTR),
            unit="s",
            maximum=8 * 3600,
            thresholds=RESOLUTION_LIMITS,
            width=5,
        ),
        series(
            "Unresolved over time",
            "Unresolved incidents by severity.",
            Query(UNRESOLVED, "{{severity}}"),
            unit="short",
            width=16,
            stacked=True,
        ),
        table(
            "Who is on call",
            "The person on call first in each team.",
            Query('max by (team, person) (oncall_current{team=~"$team"})'),
            columns={"team": "Team", "person": "On call"},
        ),
    ]


def _incoming() -> list[Panel]:
    return [
        series(
            "Incidents opened",
            "Incidents opened by hand or by alerts, between one point and the next.",
            Query(
                'sum by (severity) (increase(incidents_created_total{severity=~"$severity"}[$__rate_interval]))',
                "{{severity}}",
            ),
            unit="short",
            bars=True,
            stacked=True,
        ),
        bars(
            "Noisiest services, last 24 hours",
            "The services with the most alerts in incidents of the last 24 hours.",
            Query(f"topk(10, {last_day('alerts', by='service')})", "{{service}}"),
            unit="short",
            width=12,
            thresholds=((None, "green"), (50, "orange"), (500, "red")),
        ),
        series(
            "Alerts per minute",
            "Alerts accepted, repeats included, by severity.",
            Query(
                '60 * sum by (severity) (rate(alerts_received_total{severity=~"$severity"}[$__rate_interval]))',
                "{{severity}}",
            ),
            unit="cpm",
            stacked=True,
        ),
        series(
            "Alerts by result",
            "Alerts per minute that opened an incident, were attached to one, or repeat a firing alert.",
            Query("60 * sum by (result) (rate(alerts_correlated_total[$__rate_interval]))", "{{result}}"),
            Query(
                "60 * clamp_min(sum(rate(alerts_received_total[$__rate_interval]))"
                " - sum(rate(alerts_correlated_total[$__rate_interval])), 0)",
                "repeat",
            ),
            unit="cpm",
            width=8,
            stacked=True,
        ),
        stat(
            "Alerts correlated",
            "Share of the alerts in the time range that opened no incident of their own.",
            Query(
                'clamp_min(1 - sum(increase(alerts_correlated_total{result="new_incident"}[$__range]))'
                " / (sum(increase(alerts_received_total[$__range])) > 0), 0)"
            ),
            unit="percentunit",
            thresholds=((None, "orange"), (0.5, "green")),
        ),
    ]


def _paging() -> list[Panel]:
    return [
        stat(
            "Incidents without a next action",
            "Unacknowledged incidents without a planned page. Must be zero.",
            Query(
                "max(tocsin_oncall_incidents_without_next_action or tocsin_incidents_unescalated_incidents)",
                "incidents",
            ),
            unit="short",
            width=6,
            thresholds=ZERO,
        ),
        stat(
            "Most overdue escalation step",
            "How long the oldest due step of an escalation has been due.",
            Query("max(tocsin_oncall_due_oldest_seconds)", "due"),
            unit="s",
            width=6,
            thresholds=((None, "green"), (10, "orange"), (30, "red")),
        ),
        stat(
            "Oldest unfinished message",
            "Age of the oldest page or other message that is neither delivered nor failed.",
            Query("max(tocsin_notifications_queue_oldest_seconds)", "age"),
            unit="s",
            width=6,
            thresholds=((None, "green"), (30, "orange"), (60, "red")),
        ),
        stat(
            "Dead letters",
            "Messages that failed permanently and were not redelivered, over all time.",
            Query("sum(max by (channel) (tocsin_notifications_dead_letters))", "messages"),
            unit="short",
            width=6,
            thresholds=((None, "green"), (1, "orange")),
        ),
    ]
