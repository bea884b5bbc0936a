"""System Health: each service and replica, their queues, and the database below them."""

from grafana.generate.layout import Row, Variable
from grafana.generate.layout import dashboard as laid_out
from grafana.generate.panels import JSON, ZERO, Panel, Query, bars, series, stat

CHOSEN = 'job=~"$service", instance=~"$replica"'
REPLICA = "{{job}} {{instance}}"
LATENCY_LIMITS = ((None, "green"), (1, "red"))
"""Seconds: the objective."""
REAL = 'route!~"/health|/health/ready|/metrics|.*/stream"'


def dashboard() -> JSON:
    """Return the dashboard."""
    return laid_out(
        "tocsin-system",
        "System Health",
        "How Tocsin itself is: availability, requests, processes, queues, database.",
        since="now-1h",
        refresh="10s",
        variables=(
            Variable("service", "Service", "tocsin_build_info", of="job"),
            Variable("replica", "Replica", 'tocsin_build_info{job=~"$service"}', of="instance"),
        ),
        rows=[
            Row("Availability", _availability()),
            Row("Requests", _requests()),
            Row("Processes", _processes()),
            Row("Queues and workers", _queues()),
            Row("Database", _database()),
        ],
    )


def _availability() -> list[Panel]:
    return [
        stat(
            "Replicas that answer",
            "How many replicas of each service Prometheus reaches.",
            Query('sum by (job) (up{job=~"$service", instance=~"$replica"})', "{{job}}"),
            unit="short",
            width=8,
            thresholds=((None, "red"), (1, "green")),
        ),
        stat(
            "Availability",
            "The part of the requests in the chosen time that was answered without a 5xx. The objective is 99.9 %.",
            Query(
                f"1 - sum by (job) (increase(instance:tocsin_http_errors:sum{{{CHOSEN}}}[$__range]))"
                f" / (sum by (job) (increase(instance:tocsin_http_requests:sum{{{CHOSEN}}}[$__range])) > 0)",
                "{{job}}",
            ),
            unit="percentunit",
            width=8,
            thresholds=((None, "red"), (0.999, "green")),
        ),
        stat(
            "Error budget burns at",
            "1: it lasts exactly 30 days. Over the last hour; alerts come at 14.4 for an hour, or 6 for six hours.",
            Query('job:tocsin_http_errors:ratio_rate1h{job=~"$service"} / 0.001', "{{job}}"),
            unit="short",
            thresholds=((None, "green"), (1, "orange"), (6, "red")),
        ),
        stat(
            "Alerts firing",
            "Prometheus's alerts about Tocsin that fire now.",
            Query('count(ALERTS{alertstate="firing"}) or vector(0)', "alerts"),
            unit="short",
            thresholds=ZERO,
        ),
    ]


def _requests() -> list[Panel]:
    return [
        series(
            "Requests per second",
            "By service and replica; health checks and scrapes are left out.",
            Query(
                f"sum by (job, instance) (rate(instance:tocsin_http_requests:sum{{{CHOSEN}}}[$__rate_interval]))",
                REPLICA,
            ),
            unit="reqps",
        ),
        series(
            "Errors",
            "The part of each service's requests that was answered with a 5xx.",
            Query(
                f"sum by (job) (rate(instance:tocsin_http_errors:sum{{{CHOSEN}}}[$__rate_interval]))"
                f" / (sum by (job) (rate(instance:tocsin_http_requests:sum{{{CHOSEN}}}[$__rate_interval])) > 0)",
                "{{job}}",
            ),
            unit="percentunit",
            thresholds=((None, "green"), (0.001, "orange"), (0.0144, "red")),
        ),
        series(
            "Latency by service",
            "Median and 99th percentile; streams are left out. The objective: 99 % within a second.",
            Query(_latency(0.5, "job"), "median, {{job}}"),
            Query(_latency(0.99, "job"), "99 %, {{job}}"),
            unit="s",
            thresholds=LATENCY_LIMITS,
        ),
        series(
            "Latency by replica",
            "95th percentile of each replica: one that stands out has a trouble of its own.",
            Query(_latency(0.95, "job, instance"), REPLICA),
            unit="s",
            thresholds=LATENCY_LIMITS,
        ),
        bars(
            "Slowest routes",
            "The ten routes with the highest 95th percentile in the chosen time.",
            Query(
                "topk(10, histogram_quantile(0.95, sum by (job, method, route, le)"
                f" (increase(tocsin_http_request_duration_seconds_bucket{{{CHOSEN}, {REAL}}}[$__range]))) > 0)",
                "{{job}} {{method}} {{route}}",
            ),
            unit="s",
            width=12,
            thresholds=((None, "green"), (0.5, "orange"), (1, "red")),
        ),
        series(
            "Calls between services",
            "95th percentile of single attempts to call another service, by who calls whom.",
            Query(
                "histogram_quantile(0.95, sum by (job, peer, le)"
                f" (rate(tocsin_client_request_duration_seconds_bucket{{{CHOSEN}}}[$__rate_interval])))",
                "{{job}} to {{peer}}",
            ),
            unit="s",
            thresholds=LATENCY_LIMITS,
        ),
    ]


def _latency(quantile: float, by: str) -> str:
    return (
        f"histogram_quantile({quantile}, sum by ({by}, le)"
        f" (rate(tocsin_http_request_duration_seconds_bucket{{{CHOSEN}, {REAL}}}[$__rate_interval])))"
    )


def _processes() -> list[Panel]:
    return [
        series(
            "Processor time",
            "How much of a processor core each replica uses. A process has one loop, and so one core at most.",
            Query(f"rate(process_cpu_seconds_total{{{CHOSEN}}}[$__rate_interval])", REPLICA),
            unit="short",
            thresholds=((None, "green"), (0.9, "red")),
        ),
        series(
            "Memory",
            "Resident memory of each replica's process.",
            Query(f"process_resident_memory_bytes{{{CHOSEN}}}", REPLICA),
            unit="bytes",
        ),
        series(
            "Event loop lag",
            "99th percentile of how late timers are: what blocks the loop delays everything in that replica.",
            Query(
                "histogram_quantile(0.99, sum by (job, instance, le)"
                f" (rate(tocsin_event_loop_lag_seconds_bucket{{{CHOSEN}}}[$__rate_interval])))",
                REPLICA,
            ),
            unit="s",
            thresholds=((None, "green"), (0.5, "red")),
        ),
        series(
            "Open files and sockets",
            "The part of its limit that each replica has open.",
            Query(f"process_open_fds{{{CHOSEN}}} / process_max_fds{{{CHOSEN}}}", REPLICA),
            unit="percentunit",
            thresholds=((None, "green"), (0.8, "red")),
        ),
    ]


def _queues() -> list[Panel]:
    return [
        series(
            "What waits",
            "Alerts that incident management does not know yet, outbox rows not yet told, messages not finished.",
            Query("max(tocsin_alerts_uncorrelated)", "alerts"),
            Query('max by (job) (tocsin_outbox_undone_rows{job=~"$service"})', "outbox of {{job}}"),
            Query("sum(max by (channel) (tocsin_notifications_queue_depth))", "messages"),
            unit="short",
            width=8,
        ),
        series(
            "For how long",
            "Age of the oldest of each.",
            Query("max(tocsin_alerts_uncorrelated_oldest_seconds)", "alerts"),
            Query('max by (job) (tocsin_outbox_oldest_seconds{job=~"$service"})', "outbox of {{job}}"),
            Query("max(tocsin_notifications_queue_oldest_seconds)", "messages"),
            Query("max(tocsin_oncall_due_oldest_seconds)", "escalation steps"),
            unit="s",
            width=8,
            thresholds=((None, "green"), (60, "red")),
        ),
        series(
            "Since workers last succeeded",
            "Beyond the longest pause that each background loop makes by itself; below zero is in time.",
            Query(
                f"max by (job, worker) (time() - tocsin_worker_last_success_timestamp_seconds{{{CHOSEN}}}"
                f" - tocsin_worker_interval_seconds{{{CHOSEN}}})",
                "{{job}} {{worker}}",
            ),
            unit="s",
            width=8,
            thresholds=((None, "green"), (60, "red")),
            min=-60,
        ),
    ]


def _database() -> list[Panel]:
    return [
        series(
            "Connections",
            "Connections of everybody to the server, and how many it allows.",
            Query("max(tocsin_database_connections)", "connections"),
            Query("max(tocsin_database_limit_connections)", "limit"),
            unit="short",
            width=8,
        ),
        series(
            "Connections at work",
            "The part of its own connections that each replica has at work.",
            Query(
                f"tocsin_database_pool_in_use_connections{{{CHOSEN}}}"
                f" / tocsin_database_pool_limit_connections{{{CHOSEN}}}",
                REPLICA,
            ),
            unit="percentunit",
            width=8,
            thresholds=((None, "green"), (0.9, "red")),
            max=1,
        ),
        stat(
            "Clock, furthest from the database's",
            "The largest difference between a replica's clock and the database's, which decides.",
            Query("max(abs(tocsin_clock_skew_seconds))", "seconds"),
            unit="s",
            width=8,
            thresholds=((None, "green"), (2, "red")),
        ),
        series(
            "Size of the database",
            "What the database takes on its disk.",
            Query("max(tocsin_database_size_bytes)", "database"),
            unit="bytes",
        ),
        series(
            "Free disk",
            "The part of the file system of DISK_PATH that is free, where it is least.",
            Query("min(tocsin_disk_free_bytes / tocsin_disk_size_bytes)", "free"),
            unit="percentunit",
            thresholds=((None, "red"), (0.1, "green")),
            max=1,
        ),
    ]
