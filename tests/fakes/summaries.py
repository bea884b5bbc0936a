"""The summary of incidents from which the release before read the daily times of Now."""

from collections.abc import Sequence
from datetime import UTC, datetime, time

from tocsin.contracts.boards import DailyTimes
from tocsin.contracts.incidents import Durations, PeriodSummary, StatsSummary


def summary_of(days: Sequence[DailyTimes]) -> StatsSummary:
    """Return a summary with the times of *days*, and no other figures."""
    now = datetime.now(UTC)
    return StatsSummary(
        since=now,
        until=now,
        total=len(days),
        by_status={},
        by_severity={},
        mtta=_durations(0, None),
        mttr=_durations(0, None),
        by_service=[],
        over_time=[
            PeriodSummary(
                starts_at=datetime.combine(item.day, time(), UTC),
                incidents=max(item.acknowledged, item.resolved),
                mtta=_durations(item.acknowledged, item.mtta_seconds),
                mttr=_durations(item.resolved, item.mttr_seconds),
            )
            for item in days
        ],
    )


def _durations(count: int, mean: float | None) -> Durations:
    return Durations(count=count, mean_seconds=mean, median_seconds=mean, p95_seconds=mean)
