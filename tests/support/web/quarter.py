"""Overviews of thirteen weeks of the made-up company, as incident management and the on-call service return them."""

from datetime import date, datetime, timedelta
from typing import Any, Final

from tests.support.web.demo_night import Services
from tocsin.contracts.escalations import Level
from tocsin.contracts.incidents import Durations
from tocsin.contracts.model import Severity
from tocsin.contracts.overview import (
    Bin,
    Figures,
    Grain,
    HighestLevels,
    NoisyService,
    OnCallOverview,
    PagedPerson,
    PagedService,
    Period,
    StatsOverview,
)

FIRST: Final = date(2026, 7, 27)
MTTA: Final = [2.9, 2.7, 3.0, 2.6, 2.8, 2.4, 2.5, 2.2, 2.4, 2.1, 2.2, 2.0, 2.1]
MTTA_95: Final = [8.4, 7.9, 8.8, 7.2, 7.6, 6.9, 7.4, 6.1, 6.6, 5.8, 6.0, 5.2, 5.5]
MTTR: Final = [38, 44, 41, 47, 39, 36, 42, 37, 34, 39, 43, 40, 41]
COUNTS: Final = [
    (1, 3, 5, 4),
    (0, 4, 6, 3),
    (2, 3, 4, 5),
    (1, 5, 5, 2),
    (0, 2, 6, 4),
    (1, 4, 4, 3),
    (3, 6, 7, 4),
    (1, 4, 5, 3),
    (0, 3, 4, 4),
    (1, 2, 5, 3),
    (0, 3, 4, 2),
    (1, 2, 4, 3),
    (1, 3, 2, 1),
]
SERVICES: Final = [
    ("checkout-api", "Payments", 31, 9, 122, 38),
    ("carrier-sync", "Fulfilment", 27, 4, 220, 52),
    ("search-index", "Search", 19, 0, 151, 74),
    ("label-printer", "Fulfilment", 16, 1, 108, 24),
    ("ledger-db", "Platform", 12, 3, 72, 44),
    ("auth-edge", "Platform", 9, 0, 51, 16),
]
PEOPLE: Final = [
    ("Dele Adeyemi", "Fulfilment", 14, 9, 4),
    ("Priya Raman", "Payments", 31, 6, 3),
    ("Tomás Rivera", "Platform", 12, 4, 3),
    ("Marta Kowalczyk", "Fulfilment", 8, 3, 2),
    ("Aiko Tanabe", "Search", 11, 1, 1),
    ("Carol Mensah", "Payments", 5, 0, 0),
]


def durations(count: int, median: float, mean: float | None = None, p95: float | None = None) -> Durations:
    """In seconds; the mean is a third more and the 95th percentile three times as much by default."""
    return Durations(
        count=count, mean_seconds=mean or median * 4 / 3, median_seconds=median, p95_seconds=p95 or median * 3
    )


def nothing() -> Durations:
    return Durations(count=0, mean_seconds=None, median_seconds=None, p95_seconds=None)


def figures(counts: tuple[int, ...], mtta: Durations, mttr: Durations) -> dict[str, Any]:
    return {
        "incidents": sum(counts),
        "by_severity": dict(zip(Severity, counts, strict=True)),
        "mtta": mtta,
        "mttr": mttr,
        "acknowledged_seconds": 540.0 * sum(counts),
        "in_progress_seconds": 1_500.0 * sum(counts),
    }


def overview(**given: Any) -> StatsOverview:
    """Incidents from 27 July to 25 October."""
    total = tuple(sum(column) for column in zip(*COUNTS, strict=True))
    values: dict[str, Any] = {
        "since": FIRST,
        "until": FIRST + timedelta(weeks=13),
        "by": Grain.WEEK,
        "team": None,
        "as_of": datetime.fromisoformat("2026-10-22T01:14:08Z"),
        "history_before": None,
        "total": Figures(**figures(total, durations(152, 126), durations(150, 2_460))),
        "before": Figures(**figures((15, 50, 68, 38), durations(171, 175), durations(171, 2_390))),
        "periods": [
            Period(
                starts_on=FIRST + timedelta(weeks=week),
                **figures(
                    COUNTS[week],
                    durations(sum(COUNTS[week]), 60 * MTTA[week], p95=60 * MTTA_95[week]),
                    durations(sum(COUNTS[week]), 60 * MTTR[week]),
                ),
            )
            for week in range(13)
        ],
        "answered_within": bins((60, 120, 180, 300, 600, 1_800), (38, 54, 29, 17, 9, 4, 1)),
        "resolved_within": bins((300, 900, 1_800, 3_600, 14_400, 28_800), (6, 22, 31, 48, 38, 4, 1)),
        "services": [
            NoisyService(
                service=service,
                team=team,
                incidents=count,
                mtta=durations(count, mtta),
                mttr=durations(count, 60 * mttr),
            )
            for service, team, count, _, mtta, mttr in SERVICES
        ],
        "teams": ["Fulfilment", "Payments", "Platform", "Search"],
    }
    return StatsOverview(**values | given)


def bins(limits: tuple[int, ...], counts: tuple[int, ...]) -> list[Bin]:
    return [
        Bin(from_seconds=begin, to_seconds=end, incidents=count)
        for begin, end, count in zip((0, *limits), (*limits, None), counts, strict=True)
    ]


def on_call(**given: Any) -> OnCallOverview:
    """Pages of the same weeks."""
    values: dict[str, Any] = {
        "since": FIRST,
        "until": FIRST + timedelta(weeks=13),
        "team": None,
        "as_of": datetime.fromisoformat("2026-10-22T01:14:08Z"),
        "history_before": None,
        "total": reached(131, 16, 5, nights=13),
        "before": reached(139, 24, 8, nights=11),
        "people": [
            PagedPerson(person=person, team=team, pages=pages, night_pages=night, nights=nights)
            for person, team, pages, night, nights in PEOPLE
        ],
        "services": [
            PagedService(service=service, incidents=count, at_night=night)
            for service, _, count, night, _, _ in SERVICES
        ],
    }
    return OnCallOverview(**values | given)


def reached(primary: int, secondary: int, everyone: int, *, nights: int) -> HighestLevels:
    return HighestLevels(
        incidents=primary + secondary + everyone,
        answered={Level.PRIMARY: primary, Level.SECONDARY: secondary, Level.EVERYONE: everyone},
        resolved={},
        running={},
        nobody=0,
        nights=nights,
    )


def fill(services: Services) -> None:
    """Store the overviews in the fake services."""
    services.incidents.overview = overview()
    services.schedules.overview = on_call()
