"""Who is on call, and whom the next step of an escalation pages."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.oncall.strategies import INSTANTS, NAMES
from tocsin.contracts.escalations import Level
from tocsin.contracts.oncall import Contact, Member, Role, RotationType, ScheduleIn, Weekday
from tocsin.kernel.ids import new_id
from tocsin.oncall.domain.contact_resolver import ContactResolver
from tocsin.oncall.domain.escalation import LEVELS, level_after, level_after_failure, plan_step
from tocsin.oncall.domain.schedule import StoredSchedule, anchor_of, handoff_of
from tocsin.oncall.domain.timeline_texts import describe_escalation, describe_page, describe_timeout

NOON = datetime(2026, 10, 22, 12, 0, tzinfo=UTC)
CATCH_ALL = Contact(channel="webhook", address="https://noc.example.net/page")
CONTACTS = ContactResolver(email_enabled=False, catch_all=CATCH_ALL)


def member(name: str, role: Role = Role.PRIMARY, *contacts: Contact) -> Member:
    return Member(name=name, email="somebody@example.net", role=role, contacts=list(contacts))


def schedule(*members: Member, rotation_type: RotationType = RotationType.WEEKLY, zone: str = "UTC") -> StoredSchedule:
    given = ScheduleIn(team="Payments", rotation_type=rotation_type, members=[member("Any")], time_zone=zone)
    return StoredSchedule(
        id=new_id(),
        team=given.team,
        rotation_type=rotation_type,
        members=members,
        services=(),
        zone=ZoneInfo(zone),
        anchor=anchor_of(given, NOON),
        created_at=NOON,
        version=1,
    )


ADA, BOB, CAI = member("Ada"), member("Bob"), member("Cai")
DEE, EVE = member("Dee", Role.SECONDARY), member("Eve", Role.SECONDARY)


def test_primaries_and_secondaries_rotate_separately() -> None:
    payments = schedule(ADA, DEE, BOB, EVE, CAI)
    shifts = [payments.shift(week) for week in range(1, 7)]
    assert [shift.primary for shift in shifts] == [BOB, CAI, ADA, BOB, CAI, ADA]
    assert [shift.secondary for shift in shifts] == [EVE, DEE, EVE, DEE, EVE, DEE]


def test_a_team_without_secondaries_has_none_on_call() -> None:
    assert schedule(ADA, BOB).shift_at(NOON).secondary is None


def test_a_team_of_secondaries_only_has_no_primary_on_call() -> None:
    assert schedule(DEE).shift_at(NOON).primary is None


def test_a_rotation_with_a_given_start_begins_with_the_first_member() -> None:
    given = ScheduleIn(
        team="Payments", rotation_type="weekly", members=[ADA, BOB], start=date(2026, 10, 21), handoff_time=time(9, 0)
    )
    assert anchor_of(given, NOON) == datetime(2026, 10, 21, 9, 0)  # noqa: DTZ001
    assert handoff_of(anchor_of(given, NOON), RotationType.WEEKLY) == (time(9, 0), Weekday.WEDNESDAY)


def test_a_daily_rotation_has_no_handoff_weekday() -> None:
    assert handoff_of(datetime(2026, 10, 21, 9, 0), RotationType.DAILY) == (time(9, 0), None)  # noqa: DTZ001


@given(at=INSTANTS, names=st.sets(st.sampled_from("ABCDEFG"), min_size=1), rotation_type=st.sampled_from(RotationType))
def test_exactly_one_primary_is_on_call_at_every_instant(
    at: datetime, names: set[str], rotation_type: RotationType
) -> None:
    members = [member(name) for name in sorted(names)]
    for zone in ("UTC", "Australia/Lord_Howe", "Pacific/Apia"):
        payments = schedule(*members, rotation_type=rotation_type, zone=zone)
        shift = payments.shift_at(at)
        assert shift.primary in members
        assert shift.starts_at <= at < shift.ends_at


@given(since=INSTANTS, days=st.integers(1, 60), zone=st.sampled_from(NAMES), offset=st.floats(0, 1, exclude_max=True))
def test_who_is_on_call_at_an_instant_agrees_with_the_shifts_of_a_window(
    since: datetime, days: int, zone: str, offset: float
) -> None:
    payments = schedule(ADA, BOB, CAI, DEE, EVE, rotation_type=RotationType.DAILY, zone=zone)
    until = since + timedelta(days=days)
    shifts = list(payments.shifts(since, until))
    assert shifts[0].starts_at <= since
    assert until <= shifts[-1].ends_at
    assert all(before.ends_at == after.starts_at for before, after in pairwise(shifts))
    at = since + offset * (until - since)
    assert [shift for shift in shifts if shift.starts_at <= at < shift.ends_at] == [payments.shift_at(at)]


def test_the_levels_are_primary_then_secondary_then_everyone_then_again_from_the_first() -> None:
    payments = schedule(ADA, BOB, DEE)
    level, paged = Level.PRIMARY, []
    for _ in range(4):
        step = plan_step(payments, team="Payments", level=level, at=NOON, contacts=CONTACTS)
        paged.append([page.person for page in step.pages])
        level = step.next_level
    assert paged == [["Bob"], ["Dee"], ["Ada", "Bob", "Dee"], ["Bob"]]


def test_an_empty_level_is_skipped() -> None:
    step = plan_step(schedule(ADA, BOB), team="Payments", level=Level.SECONDARY, at=NOON, contacts=CONTACTS)
    assert (step.level, step.next_level, step.skipped) == (Level.EVERYONE, Level.PRIMARY, (Level.SECONDARY,))
    only_secondaries = plan_step(schedule(DEE), team="Payments", level=Level.PRIMARY, at=NOON, contacts=CONTACTS)
    assert (only_secondaries.level, only_secondaries.next_level) == (Level.SECONDARY, Level.EVERYONE)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("nobody", [None, schedule()], ids=["no schedule", "no members"])
def test_if_every_level_is_empty_the_catch_all_is_paged_and_the_levels_repeat(
    level: Level, nobody: StoredSchedule | None
) -> None:
    step = plan_step(nobody, team="Payments", level=level, at=NOON, contacts=CONTACTS)
    assert (step.level, step.next_level) == (Level.CATCH_ALL, Level.PRIMARY)
    assert set(step.skipped) == set(LEVELS)
    (page,) = step.pages
    assert (page.person, page.contacts, page.reason) == (
        "the catch-all contact",
        (CATCH_ALL,),
        "nobody is on call for Payments",
    )


def test_when_nobody_could_be_reached_the_catch_all_is_paged_although_people_are_on_call() -> None:
    step = plan_step(schedule(ADA), team="Payments", level=Level.CATCH_ALL, at=NOON, contacts=CONTACTS)
    assert [page.contacts for page in step.pages] == [(CATCH_ALL,)]
    assert step.pages[0].reason == "no page to Payments could be delivered"
    assert step.skipped == ()


def test_after_failed_deliveries_each_level_is_paged_once_and_then_the_catch_all() -> None:
    level: Level | None = Level.PRIMARY
    passed = []
    while level is not None:
        passed.append(level)
        level = level_after_failure(level)
    assert passed == [Level.PRIMARY, Level.SECONDARY, Level.EVERYONE, Level.CATCH_ALL]
    assert level_after(Level.CATCH_ALL) is Level.PRIMARY


MAIL = Contact(channel="email", address="ada@home.example.net")
HOOK = Contact(channel="webhook", address="https://hooks.example.net/ada")


@pytest.mark.parametrize(
    ("person", "mail", "contacts"),
    [
        (member("Ada", Role.PRIMARY, HOOK, MAIL, HOOK), True, (HOOK, MAIL)),
        (ADA, True, (Contact(channel="email", address="somebody@example.net"),)),
        (ADA, False, (Contact(channel="mock", address="somebody@example.net"),)),
    ],
    ids=["own contacts, each once", "e-mail where there is a mail server", "else the console"],
)
def test_without_contacts_a_member_is_paged_by_e_mail_or_through_the_catch_all(
    person: Member,
    mail: bool,  # noqa: FBT001 - a parameter of the test
    contacts: tuple[Contact, ...],
) -> None:
    assert ContactResolver(email_enabled=mail, catch_all=CATCH_ALL).contacts_of(person) == contacts


def test_the_timeline_entry_of_a_page_names_the_person_the_reason_and_the_channels() -> None:
    priya = member("Priya Raman", Role.PRIMARY, MAIL, HOOK)
    step = plan_step(schedule(priya), team="Payments", level=Level.PRIMARY, at=NOON, contacts=CONTACTS)
    [page] = step.pages
    assert (
        describe_page(page.person, [contact.channel for contact in page.contacts], page.reason)
        == "Paged Priya Raman by e-mail, webhook: level 1, primary for Payments (weekly rotation, week 43)"
    )
    daily = schedule(ADA, DEE, rotation_type=RotationType.DAILY)
    second = plan_step(daily, team="Payments", level=Level.SECONDARY, at=NOON, contacts=CONTACTS)
    assert second.pages[0].reason == "level 2, secondary for Payments (daily rotation, day 295)"


def test_the_timeline_entry_of_an_escalation_names_the_level_and_the_reason() -> None:
    step = plan_step(schedule(ADA), team="Payments", level=Level.SECONDARY, at=NOON, contacts=CONTACTS)
    assert describe_escalation(step, "Payments", "not acknowledged within 5 min") == (
        "Escalated to level 3, everyone in Payments: not acknowledged within 5 min; nobody is secondary"
    )
    first = plan_step(schedule(ADA), team="Payments", level=Level.PRIMARY, at=NOON, contacts=CONTACTS)
    assert describe_escalation(first, "Payments", "requested by Ada") == (
        "Escalated to level 1, primary for Payments: requested by Ada"
    )


@pytest.mark.parametrize(("seconds", "words"), [(300, "5 min"), (60, "1 min"), (90, "90 s"), (0.3, "0.3 s")])
def test_time_outs_of_whole_minutes_are_written_in_minutes(seconds: float, words: str) -> None:
    assert describe_timeout(seconds) == words
