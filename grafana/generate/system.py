"""System Health: services and replicas, their queues, and the database."""

from grafana.generate.layout import Row, Variable
from grafana.generate.layout import dashboard as laid_out
from grafana.generate.panels import JSON, ZERO, Panel, Query, bars, series, stat

SELECTED = 'job=~"$service", instance=~"$replica"'
REPLICA = "{{job}} {{instance}}"
LATENCY_LIMITS = ((None, "green"), (1, "red"))
"""Seconds; the limit is that of the latency objective."""
API_ROUTES = 'route!~"/health|/health/ready|/metrics|.*/stream"'


def dashboard() -> JSON:
    """Return the dashboard."""
    return laid_out(
        "tocsin-system",
        "System Health",
        "Tocsin itself: availability, requests, processes, queues, database.",
        since="now-1h",
        refresh="10s",
        variables=(
            Variable("service", "Service", "tocsin_build_info", label_name="job"),
            Variable("replica", "Replica", 'tocsin_build_info{job=~"$service"}', label_name="instance"),
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
            "Replicas up",
            "Replicas of each service that Prometheus can scrape.",
            Query('sum by (job) (up{job=~"$service", instance=~"$replica"})', "{{job}}"),
            unit="short",
            width=8,
            thresholds=((None, "red"), (1, "green")),
        ),
        stat(
            "Availability",
            "Share of the requests in the time range without a 5xx response. The objective is 99.9 %.",
            Query(
                f"1 - sum by (job) (increase(instance:tocsin_http_errors:sum{{{SELECTED}}}[$__range]))"
                f" / (sum by (job) (increase(instance:tocsin_http_requests:sum{{{SELECTED}}}[$__range])) > 0)",
                "{{job}}",
            ),
            unit="percentunit",
            width=8,
            thresholds=((None, "red"), (0.999, "green")),
        ),
        stat(
            "Error budget burn rate",
            "Over the last hour. At 1 the budget lasts 30 days; alerts fire at 14.4 over one hour or 6 over six hours.",
            Query('job:tocsin_http_errors:ratio_rate1h{job=~"$service"} / 0.001', "{{job}}"),
            unit="short",
            thresholds=((None, "green"), (1, "orange"), (6, "red")),
        ),
        stat(
            "Alerts firing",
            "Prometheus alerts on Tocsin that are firing.",
            Query('count(ALERTS{alertstate="firing"}) or vector(0)', "alerts"),
            unit="short",
            thresholds=ZERO,
        ),
    ]


def _requests() -> list[Panel]:
    return [
        series(
            "Requests per second",
            "By service and replica, without health checks and scrapes.",
            Query(
                f"sum by (job, instance) (rate(instance:tocsin_http_requests:sum{{{SELECTED}}}[$__rate_interval]))",
                REPLICA,
            ),
            unit="reqps",
        ),
        series(
            "Errors",
            "Share of each service's requests with a 5xx response.",
            Query(
                f"sum by (job) (rate(instance:tocsin_http_errors:sum{{{SELECTED}}}[$__rate_interval]))"
                f" / (sum by (job) (rate(instance:tocsin_http_requests:sum{{{SELECTED}}}[$__rate_interval])) > 0)",
                "{{job}}",
            ),
            unit="percentunit",
            thresholds=((None, "green"), (0.001, "orange"), (0.0144, "red")),
        ),
        series(
            "Latency by service",
            "Median and 99th percentile, without streams. The objective: 99 % within a second.",
            Query(_latency(0.5, "job"), "median, {{job}}"),
            Query(_latency(0.99, "job"), "99 %, {{job}}"),
            unit="s",
            thresholds=LATENCY_LIMITS,
        ),
        series(
            "Latency by replica",
            "95th percentile of each replica, to find one that is slower than the others.",
            Query(_latency(0.95, "job, instance"), REPLICA),
            unit="s",
            thresholds=LATENCY_LIMITS,
        ),
        bars(
            "Slowest routes",
            "The ten routes with the highest 95th percentile in the time range.",
            Query(
                "topk(10, histogram_quantile(0.95, sum by (job, method, route, le)"
                f" (increase(tocsin_http_request_duration_seconds_bucket{{{SELECTED}, {API_ROUTES}}}[$__range]))) > 0)",
                "{{job}} {{method}} {{route}}",
            ),
            unit="s",
            width=12,
            thresholds=((None, "green"), (0.5, "orange"), (1, "red")),
        ),
        series(
            "Calls between services",
            "95th percentile of single attempts to call another service, by caller and callee.",
            Query(
                "histogram_quantile(0.95, sum by (job, peer, le)"
                f" (rate(tocsin_client_request_duration_seconds_bucket{{{SELECTED}}}[$__rate_interval])))",
                "{{job}} to {{peer}}",
            ),
            unit="s",
            thresholds=LATENCY_LIMITS,
        ),
    ]


def _latency(quantile: float, by: str) -> str:
    return (
        f"histogram_quantile({quantile}, sum by ({by}, le)"
        f" (rate(tocsin_http_request_duration_seconds_bucket{{{SELECTED}, {API_ROUTES}}}[$__rate_interval])))"
    )


def _processes() -> list[Panel]:
    return [
        series(
            "CPU",
            "CPU cores that each replica uses. A process has one event loop, so it uses one core at most.",
            Query(f"rate(process_cpu_seconds_total{{{SELECTED}}}[$__rate_interval])", REPLICA),
            unit="short",
            thresholds=((None, "green"), (0.9, "red")),
        ),
        series(
            "Memory",
            "Resident memory of each replica's process.",
            Query(f"process_resident_memory_bytes{{{SELECTED}}}", REPLICA),
            unit="bytes",
        ),
        series(
            "Event loop lag",
            "99th percentile of timer delay: what blocks the event loop delays every request of that replica.",
            Query(
                "histogram_quantile(0.99, sum by (job, instance, le)"
                f" (rate(tocsin_event_loop_lag_seconds_bucket{{{SELECTED}}}[$__rate_interval])))",
                REPLICA,
            ),
            unit="s",
            thresholds=((None, "green"), (0.5, "red")),
        ),
        series(
            "Open files and sockets",
            "Share of its limit that each replica has open.",
            Query(f"process_open_fds{{{SELECTED}}} / process_max_fds{{{SELECTED}}}", REPLICA),
            unit="percentunit",
            thresholds=((None, "green"), (0.8, "red")),
        ),
    ]


def _queues() -> list[Panel]:
    return [
        series(
            "Queue length",
            "Alerts not yet correlated, outbox rows not yet delivered, messages not yet finished.",
            Query("max(tocsin_alerts_uncorrelated)", "alerts"),
            Query('max by (job) (tocsin_outbox_undelivered_rows{job=~"$service"})', "outbox of {{job}}"),
            Query("sum(max by (channel) (tocsin_notifications_queue_depth))", "messages"),
            unit="short",
            width=8,
        ),
        series(
            "Queue age",
            "Age of the oldest entry of each queue.",
            Query("max(tocsin_alerts_uncorrelated_oldest_seconds)", "alerts"),
            Query('max by (job) (tocsin_outbox_oldest_seconds{job=~"$service"})', "outbox of {{job}}"),
            Query("max(tocsin_notifications_queue_oldest_seconds)", "messages"),
            Query("max(tocsin_oncall_due_oldest_seconds)", "escalation steps"),
            Query('max by (job) (tocsin_audit_oldest_seconds{job=~"$service"})', "audit entries of {{job}}"),
            unit="s",
            width=8,
            thresholds=((None, "green"), (60, "red")),
        ),
        series(
            "Since workers last succeeded",
            "Time since each background loop last succeeded, minus its interval: below zero is on time.",
            Query(
                f"max by (job, worker) (time() - tocsin_worker_last_success_timestamp_seconds{{{SELECTED}}}"
                f" - tocsin_worker_interval_seconds{{{SELECTED}}})",
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
            "Connections of all clients to the server, and its limit.",
            Query("max(tocsin_database_connections)", "connections"),
            Query("max(tocsin_database_limit_connections)", "limit"),
            unit="short",
            width=8,
        ),
        series(
            "Connection pools in use",
            "Share of its connection pool that each replica uses.",
            Query(
                f"tocsin_database_pool_in_use_connections{{{SELECTED}}}"
                f" / tocsin_database_pool_limit_connections{{{SELECTED}}}",
                REPLICA,
            ),
            unit="percentunit",
            width=8,
            thresholds=((None, "green"), (0.9, "red")),
            max=1,
        ),
        stat(
            "Clock skew",
            "Largest difference between a replica's clock and the database's, which is authoritative.",
            Query("max(abs(tocsin_clock_skew_seconds))", "seconds"),
            unit="s",
            width=8,
            thresholds=((None, "green"), (2, "red")),
        ),
        series(
            "Size of the database",
            "Disk space that the database uses.",
            Query("max(tocsin_database_size_bytes)", "database"),
            unit="bytes",
        ),
        series(
            "Free disk",
            "Free share of the file system of DISK_PATH, on the replica with the least.",
            Query("min(tocsin_disk_free_bytes / tocsin_disk_size_bytes)", "free"),
            unit="percentunit",
            thresholds=((None, "red"), (0.1, "green")),
            max=1,
        ),
        series(
            "Deleted after the retention",
            "Partitions dropped, and rows deleted one by one, because they were past the retention.",
            Query(
                "sum by (table) (increase(tocsin_retention_dropped_partitions_total[$__rate_interval]))",
                "partitions of {{table}}",
            ),
            Query(
                "sum by (table) (increase(tocsin_retention_deleted_rows_total[$__rate_interval]))", "rows of {{table}}"
            ),
            unit="short",
        ),
        series(
            "Partitions that need attention",
            "Partitions past the retention that something open or not finished keeps, and rows without a partition of"
            " their time.",
            Query("max by (table) (tocsin_retention_kept_partitions)", "partitions of {{table}} kept"),
            Query("max by (table) (tocsin_default_partition_rows)", "rows of {{table}} without a partition"),
            unit="short",
            thresholds=ZERO,
        ),
    ]
