"""Who is on call, now and at other instants, over HTTP."""

from datetime import UTC, datetime
from itertools import product
from typing import Any

from tests.oncall.conftest import OnCall, person

THREE = [person("Ada"), person("Bob"), person("Cai")]


async def who(oncall: OnCall, at: str, team: str = "Payments") -> Any:
    return (await oncall.get("/api/v1/oncall/current", team=team, at=at))["primary"]["name"]


async def test_current_returns_the_primary_and_the_secondary_with_the_next_handoff(oncall: OnCall) -> None:
    await oncall.team("Payments", *THREE, person("Dee", role="secondary"), start="2026-10-19")
    assert await oncall.get("/api/v1/oncall/current", team="Payments", at="2026-10-22T12:00:00Z") == {
        "team": "Payments",
        "primary": {"name": "Ada", "email": "ada@example.net"},
        "secondary": {"name": "Dee", "email": "dee@example.net"},
        "at": "2026-10-22T12:00:00Z",
        "until": "2026-10-26T00:00:00Z",
        "time_zone": "UTC",
    }


async def test_a_team_without_secondaries_has_no_secondary_on_call(oncall: OnCall) -> None:
    await oncall.team("Payments", *THREE)
    assert (await oncall.get("/api/v1/oncall/current", team="Payments"))["secondary"] is None


async def test_a_404_for_an_unknown_team_names_the_teams_that_exist(oncall: OnCall) -> None:
    async def detail(path: str) -> Any:
        return (await oncall.get(f"/api/v1/oncall/{path}", team="Nobody's", status=404))["detail"]

    first = 'There is no team "Nobody\'s", because no team exists yet: create one with POST /api/v1/schedules.'
    assert [await detail(path) for path in ("current", "upcoming")] == [first, first]
    for number in range(10):
        await oncall.team(f"Team {number}")
    names = ", ".join(f"Team {number}" for number in range(10))
    some = f'There is no team "Nobody\'s". Use one of: {names}, or create it with POST /api/v1/schedules.'
    assert [await detail(path) for path in ("current", "upcoming")] == [some, some]
    await oncall.team("Team Ten")
    assert await detail("current") == some.replace(names, f"{names}, …")


async def test_the_default_index_is_the_week_or_the_day_modulo_the_number_of_primaries(oncall: OnCall) -> None:
    for rotation_type, people in product(("weekly", "daily"), (1, 2, 3, 5)):
        names, team = [f"P{number}" for number in range(people)], f"{rotation_type} {people}"
        await oncall.team(team, *map(person, names), rotation_type=rotation_type)
        before = datetime.now(UTC)
        current = await oncall.get("/api/v1/oncall/current", team=team)
        at = datetime.fromisoformat(current["at"])
        count = at.isocalendar().week if rotation_type == "weekly" else at.timetuple().tm_yday
        assert current["primary"]["name"] == names[count % people], team
        assert before <= at <= datetime.now(UTC)


async def test_a_shift_of_the_first_member_begins_at_a_given_start_also_counted_backwards(oncall: OnCall) -> None:
    await oncall.team("Payments", *THREE, start="2030-01-02", rotation_type="daily")
    days = ["2029-12-31", "2030-01-01", "2030-01-02", "2030-01-03", "2030-01-04", "2030-01-05"]
    assert [await who(oncall, f"{day}T12:00:00Z") for day in days] == ["Bob", "Cai", "Ada", "Bob", "Cai", "Ada"]


BERLIN = {"start": "2026-10-19", "time_zone": "Europe/Berlin", "handoff_time": "09:00"}


async def test_the_week_in_which_the_clocks_go_back_is_an_hour_longer(oncall: OnCall) -> None:
    await oncall.team("Payments", *THREE, **BERLIN)
    assert await who(oncall, "2026-10-26T07:59:59Z") == "Ada"
    assert await who(oncall, "2026-10-26T08:00:00Z") == "Bob"
    current = await oncall.get("/api/v1/oncall/current", team="Payments", at="2026-10-25T12:00:00Z")
    assert current["until"] == "2026-10-26T08:00:00Z"


async def test_shifts_come_with_the_time_zone_of_their_handoffs(oncall: OnCall) -> None:
    await oncall.team("Payments", *THREE, **BERLIN)
    for path in ("current", "upcoming"):
        assert (await oncall.get(f"/api/v1/oncall/{path}", team="Payments"))["time_zone"] == "Europe/Berlin"


async def test_at_accepts_any_offset(oncall: OnCall) -> None:
    await oncall.team("Payments", *THREE, **BERLIN)
    assert await who(oncall, "2026-10-26T08:59:59+01:00") == "Ada"
    assert await who(oncall, "2026-10-26T09:00:00+01:00") == "Bob"


async def test_a_day_whose_midnight_the_clocks_skip_begins_right_after_the_gap(oncall: OnCall) -> None:
    await oncall.team("Payments", *THREE, rotation_type="daily", start="2026-04-23", time_zone="Africa/Cairo")
    assert await who(oncall, "2026-04-23T21:59:59Z") == "Ada"
    assert await who(oncall, "2026-04-23T22:00:00Z") == "Bob"
    assert await who(oncall, "2026-04-24T20:59:59Z") == "Bob"
    assert await who(oncall, "2026-04-24T21:00:00Z") == "Cai"


async def test_an_ambiguous_handoff_is_at_its_first_occurrence(oncall: OnCall) -> None:
    await oncall.team(
        "Payments", *THREE, rotation_type="daily", start="2020-10-31", time_zone="America/Chicago", handoff_time="01:30"
    )
    assert await who(oncall, "2020-11-01T06:29:59Z") == "Ada"
    assert await who(oncall, "2020-11-01T06:30:00Z") == "Bob"
    assert await who(oncall, "2020-11-01T07:30:00Z") == "Bob"
    assert await who(oncall, "2020-11-02T07:30:00Z") == "Cai"


async def test_the_shift_of_a_day_that_the_zone_skipped_is_empty(oncall: OnCall) -> None:
    await oncall.team("Payments", *THREE, rotation_type="daily", start="2011-12-29", time_zone="Pacific/Apia")
    assert await who(oncall, "2011-12-30T09:59:59Z") == "Ada"
    assert await who(oncall, "2011-12-30T10:00:00Z") == "Cai"


async def test_upcoming_shifts_have_their_actual_start_and_end(oncall: OnCall) -> None:
    await oncall.team("Payments", *THREE, rotation_type="daily")
    upcoming = await oncall.get("/api/v1/oncall/upcoming", team="Payments", days=7)
    items = upcoming["items"]
    assert upcoming["team"] == "Payments"
    assert len(items) == 8, "the current shift and those that begin within seven days"
    current = await oncall.get("/api/v1/oncall/current", team="Payments")
    assert items[0]["primary"] == current["primary"]
    assert items[0]["starts_at"] <= current["at"] < items[0]["ends_at"] == current["until"]
    assert [item["starts_at"] for item in items[1:]] == [item["ends_at"] for item in items[:-1]]
    names = [item["primary"]["name"] for item in items]
    assert all(names[n] != names[n + 1] for n in range(7))
    assert names[:3] == names[3:6]


async def test_upcoming_covers_up_to_a_year(oncall: OnCall) -> None:
    await oncall.team("Payments", *THREE, rotation_type="daily", time_zone="America/New_York")
    upcoming = await oncall.get("/api/v1/oncall/upcoming", team="Payments", days=366)
    hours = [
        (datetime.fromisoformat(item["ends_at"]) - datetime.fromisoformat(item["starts_at"])).total_seconds() / 3600
        for item in upcoming["items"]
    ]
    assert len(hours) == 367
    assert sorted(hours)[:2] == [23, 24]
    assert sorted(hours)[-2:] == [24, 25]


# (path, query, which parameter the problem document names)
INVALID: list[tuple[str, dict[str, str], str]] = [
    ("current", {}, "?team"),
    ("current", {"team": ""}, "?team"),
    ("current", {"team": "Payments", "at": "yesterday"}, "?at"),
    ("current", {"team": "Payments", "at": "0001-01-01T00:00:00+14:00"}, "?at"),
    ("current", {"team": "Payments", "at": "1969-12-31T23:59:59Z"}, "?at"),
    ("current", {"team": "Payments", "at": "9999-12-31T23:59:59Z"}, "?at"),
    ("current", {"team": "Payments", "when": "now"}, "?when"),
    ("upcoming", {"team": "Payments", "days": "0"}, "?days"),
    ("upcoming", {"team": "Payments", "days": "367"}, "?days"),
    ("upcoming", {"team": "Payments", "days": "many"}, "?days"),
]


async def test_an_invalid_parameter_is_named_in_the_problem_document(oncall: OnCall) -> None:
    for path, query, pointer in INVALID:
        problem = await oncall.get(f"/api/v1/oncall/{path}", status=422, **query)
        assert [error["pointer"] for error in problem["errors"]] == [pointer], query


async def test_somebody_is_on_call_at_both_ends_of_the_supported_years(oncall: OnCall) -> None:
    for zone in ("Pacific/Kiritimati", "Pacific/Niue"):
        await oncall.team(zone, *THREE, start="2999-12-31", time_zone=zone)
        for at in ("1970-01-01T00:00:00Z", "2999-12-31T23:59:59Z"):
            assert await who(oncall, at, zone) in {"Ada", "Bob", "Cai"}
