"""SRE Performance: MTTA, MTTR, volume, escalations and deliveries over days."""

from grafana.generate.incidents import (
    ACKNOWLEDGEMENT_LIMITS,
    MTTA,
    MTTR,
    RESOLUTION_LIMITS,
    VARIABLES,
    last_day,
    mean_of_last_day,
)
from grafana.generate.layout import Row
from grafana.generate.layout import dashboard as laid_out
from grafana.generate.panels import (
    JSON,
    Panel,
    Query,
    Thresholds,
    bars,
    gauge,
    heatmap,
    series,
    stat,
    table,
)


def dashboard() -> JSON:
    """Return the dashboard."""
    return laid_out(
        "tocsin-sre",
        "SRE Performance",
        "MTTA, MTTR, incident volume, escalations and deliveries.",
        since="now-7d",
        refresh="1m",
        variables=VARIABLES,
        rows=[
            Row("The last 24 hours", _last_day()),
            Row("Trends", _trends()),
            Row("Distribution of MTTA and MTTR", _distribution()),
            Row("Escalations and pages", _paging()),
        ],
    )


def _last_day() -> list[Panel]:
    return [
        stat("Incidents", "Selected incidents of the last 24 hours.", Query(last_day("incidents")), unit="short"),
        gauge(
            "MTTA",
            "Mean time from opening to acknowledgement, of the selected incidents opened in the last 24 hours.",
            Query(MTTA),
            unit="s",
            maximum=1800,
            thresholds=ACKNOWLEDGEMENT_LIMITS,
        ),
        gauge(
            "MTTR",
            "Mean time from opening to resolution, of the selected incidents opened in the last 24 hours.",
            Query(MTTR),
            unit="s",
            maximum=8 * 3600,
            thresholds=RESOLUTION_LIMITS,
        ),
        stat(
            "Alerts per incident",
            "Mean number of alerts of a selected incident of the last 24 hours: people were paged once for them.",
            Query(f"{last_day('alerts')} / ({last_day('incidents')} > 0)"),
            unit="short",
        ),
        stat(
            "Acknowledged",
            "Share of the selected incidents of the last 24 hours that are acknowledged.",
            Query(f"{last_day('acknowledged_incidents')} / ({last_day('incidents')} > 0)"),
            unit="percentunit",
            thresholds=((None, "red"), (0.8, "orange"), (0.95, "green")),
        ),
        stat(
            "Resolved",
            "Share of the selected incidents of the last 24 hours that are resolved.",
            Query(f"{last_day('resolved_incidents')} / ({last_day('incidents')} > 0)"),
            unit="percentunit",
            thresholds=((None, "orange"), (0.8, "green")),
        ),
    ]


def _trends() -> list[Panel]:
    return [
        _trend("MTTA", "acknowledgement", "incident_mtta_seconds", MTTA, ACKNOWLEDGEMENT_LIMITS),
        _trend("MTTR", "resolution", "incident_mttr_seconds", MTTR, RESOLUTION_LIMITS),
        series(
            "Volume by service",
            "Selected incidents opened in the 24 hours before each point; beyond the busiest twenty services: other.",
            Query(last_day("incidents", by="service"), "{{service}}"),
            unit="short",
            stacked=True,
        ),
        table(
            "By service, last 24 hours",
            "Incidents, alerts, MTTA and MTTR of each selected service.",
            Query(last_day("incidents", by="service")),
            Query(last_day("alerts", by="service")),
            Query(mean_of_last_day("acknowledgement", "acknowledged", by="service")),
            Query(mean_of_last_day("resolution", "resolved", by="service")),
            columns={
                "service": "Service",
                "Value #A": "Incidents",
                "Value #B": "Alerts",
                "Value #C": "MTTA",
                "Value #D": "MTTR",
            },
            units={"Value #C": "s", "Value #D": "s"},
            width=12,
        ),
    ]


def _trend(name: str, what: str, histogram: str, chosen: str, limits: Thresholds) -> Panel:
    def mean_over(window: str) -> str:
        return f"sum(increase({histogram}_sum[{window}])) / (sum(increase({histogram}_count[{window}])) > 0)"

    return series(
        f"{name} trend",
        f"Mean time to {what}: moving averages of one hour and of one day over all incidents, and of"
        " the selected incidents opened in the day before each point.",
        Query(mean_over("1h"), "1 hour"),
        Query(mean_over("1d"), "1 day"),
        Query(chosen, "1 day, selected incidents"),
        unit="s",
        thresholds=limits,
    )


def _distribution() -> list[Panel]:
    return [
        heatmap(
            "Time to acknowledgement",
            "Number of incidents by time to acknowledgement; each column is the time between two points.",
            Query("sum by (le) (increase(incident_mtta_seconds_bucket[$__rate_interval]))", "{{le}}"),
            unit="s",
        ),
        heatmap(
            "Time to resolution",
            "Number of incidents by time to resolution; each column is the time between two points.",
            Query("sum by (le) (increase(incident_mttr_seconds_bucket[$__rate_interval]))", "{{le}}"),
            unit="s",
        ),
        _percentiles("acknowledgement", "incident_mtta_seconds", ACKNOWLEDGEMENT_LIMITS),
        _percentiles("resolution", "incident_mttr_seconds", RESOLUTION_LIMITS),
    ]


def _percentiles(what: str, histogram: str, limits: Thresholds) -> Panel:
    def quantile(share: float) -> str:
        return f"histogram_quantile({share}, sum by (le) (increase({histogram}_bucket[1d])))"

    return series(
        f"Median and 95th percentile of {what}",
        f"Half of the incidents of the day before each point, and 95 %, reached {what} within this time; estimated from"
        " buckets from 5 seconds to a day.",
        Query(quantile(0.5), "median"),
        Query(quantile(0.95), "95 %"),
        unit="s",
        thresholds=limits,
    )


def _paging() -> list[Panel]:
    return [
        bars(
            "Escalations by team",
            "Steps beyond an incident's first page, in the time range: unacknowledged, or escalated by hand.",
            Query('sum by (team) (increase(escalations_total{team=~"$team"}[$__range]))', "{{team}}"),
            unit="short",
            thresholds=((None, "green"), (10, "orange"), (50, "red")),
        ),
        bars(
            "Pages by channel",
            "Pages that notification-service accepted in the time range.",
            Query("sum by (channel) (increase(oncall_notifications_sent_total[$__range]))", "{{channel}}"),
            unit="short",
        ),
        series(
            "Messages by outcome",
            "Sent, failed permanently, or cancelled before sending because the incident was acknowledged (voided).",
            Query("sum by (status) (increase(notifications_sent_total[$__rate_interval]))", "{{status}}"),
            unit="short",
            width=8,
            bars=True,
            stacked=True,
        ),
        series(
            "Time to deliver",
            "From a message's acceptance to its delivery: median and 95th percentile by channel, over an hour.",
            Query(
                "histogram_quantile(0.5, sum by (channel, le)"
                " (increase(tocsin_notifications_delivery_seconds_bucket[1h])))",
                "median, {{channel}}",
            ),
            Query(
                "histogram_quantile(0.95, sum by (channel, le)"
                " (increase(tocsin_notifications_delivery_seconds_bucket[1h])))",
                "95 %, {{channel}}",
            ),
            unit="s",
            width=16,
            thresholds=((None, "green"), (30, "red")),
        ),
        stat(
            "Delivered within 30 s",
            "Share of the messages delivered in the time range that took at most 30 seconds.",
            Query(
                'sum(increase(tocsin_notifications_delivery_seconds_bucket{le="30.0"}[$__range]))'
                " / (sum(increase(tocsin_notifications_delivery_seconds_count[$__range])) > 0)"
            ),
            unit="percentunit",
            thresholds=((None, "red"), (0.99, "orange"), (0.999, "green")),
        ),
        stat(
            "Catch-all paged",
            "Pages to the catch-all contact in the time range: nobody was on call, or nobody could be reached.",
            Query("sum(increase(tocsin_oncall_catch_all_pages_total[$__range]))"),
            unit="short",
            thresholds=((None, "green"), (1, "red")),
        ),
    ]
