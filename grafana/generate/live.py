"""Live Incident Overview: what happens now, and whether everybody concerned knows."""

from grafana.generate.incidents import (
    ACKNOWLEDGEMENT_LIMITS,
    MTTA,
    MTTR,
    RESOLUTION_LIMITS,
    VARIABLES,
    last_day,
    told_once,
)
from grafana.generate.layout import Row
from grafana.generate.layout import dashboard as laid_out
from grafana.generate.panels import JSON, ZERO, Panel, Query, bars, gauge, series, stat, table

UNRESOLVED = (
    f"sum by (severity) ({told_once('tocsin_incidents_service_unresolved_incidents')})"
    ' or 0 * max by (severity) (tocsin_incidents_unresolved_incidents{severity=~"$severity"})'
)


def dashboard() -> JSON:
    """Return the dashboard."""
    return laid_out(
        "tocsin-live",
        "Live Incident Overview",
        "What happens now: open incidents, who is on call, and what comes in.",
        since="now-6h",
        refresh="10s",
        variables=VARIABLES,
        rows=[Row("Now", _now()), Row("What comes in", _incoming()), Row("Does everybody know?", _paging())],
    )


def _now() -> list[Panel]:
    return [
        stat(
            "Unresolved, by severity",
            "Incidents that are open, acknowledged or in progress, of the chosen services, teams and severities.",
            Query(UNRESOLVED, "{{severity}}"),
            unit="short",
            width=8,
            thresholds=((None, "green"), (1, "orange"), (10, "red")),
        ),
        stat(
            "By state",
            "All incidents that are not resolved. Open ones wait for somebody to acknowledge them.",
            Query('max by (status) (incidents_total{status!="resolved"})', "{{status}}"),
            unit="short",
            width=6,
            thresholds=((None, "green"), (10, "orange"), (50, "red")),
        ),
        gauge(
            "MTTA, last 24 hours",
            "Mean time from opening to acknowledgement, of the chosen incidents opened in the last 24 hours.",
            Query(MTTA),
            unit="s",
            maximum=1800,
            thresholds=ACKNOWLEDGEMENT_LIMITS,
            width=5,
        ),
        gauge(
            "MTTR, last 24 hours",
            "Mean time from opening to resolution, of the chosen incidents opened in the last 24 hours.",
            Query(MTTR),
            unit="s",
            maximum=8 * 3600,
            thresholds=RESOLUTION_LIMITS,
            width=5,
        ),
        series(
            "Unresolved over time",
            "Incidents that are not resolved, by severity.",
            Query(UNRESOLVED, "{{severity}}"),
            unit="short",
            width=16,
            stacked=True,
        ),
        table(
            "Who is on call",
            "Who is paged first in each team.",
            Query('max by (team, person) (oncall_current{team=~"$team"})'),
            columns={"team": "Team", "person": "On call"},
        ),
    ]


def _incoming() -> list[Panel]:
    return [
        series(
            "Incidents opened",
            "How many incidents were opened, by hand or by alerts, between one point and the next.",
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
            "Which services had most alerts, joined to incidents of the last 24 hours.",
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
            "What became of them",
            "Alerts per minute that opened an incident, that joined one, and repeats of an alert that is open already.",
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
            "Correlated away",
            "The part of the alerts in the chosen time that opened no incident of its own.",
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
            "Unacknowledged incidents for which nobody will be paged. Must be zero.",
            Query(
                "max(tocsin_oncall_incidents_without_next_action or tocsin_incidents_unescalated_incidents)",
                "incidents",
            ),
            unit="short",
            width=6,
            thresholds=ZERO,
        ),
        stat(
            "Latest escalation step",
            "For how long the oldest step of an escalation has been due.",
            Query("max(tocsin_oncall_due_oldest_seconds)", "due"),
            unit="s",
            width=6,
            thresholds=((None, "green"), (10, "orange"), (30, "red")),
        ),
        stat(
            "Oldest message not sent",
            "Age of the oldest page or other message that is not finished.",
            Query("max(tocsin_notifications_queue_oldest_seconds)", "age"),
            unit="s",
            width=6,
            thresholds=((None, "green"), (30, "orange"), (60, "red")),
        ),
        stat(
            "Messages given up",
            "Messages that could not be delivered and were not sent again, over all time.",
            Query("sum(max by (channel) (tocsin_notifications_dead_letters))", "messages"),
            unit="short",
            width=6,
            thresholds=((None, "green"), (1, "orange")),
        ),
    ]
