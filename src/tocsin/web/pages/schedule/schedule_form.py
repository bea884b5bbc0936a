"""The form of a schedule: its fields as submitted, and their conversion to a schedule."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, Final, Self

from pydantic import ValidationError

from tocsin.channels import CHANNELS
from tocsin.contracts.oncall import Member, Role, RotationType, Schedule, ScheduleIn, Weekday

SPARE: Final = 3
"""Empty rows below the filled ones."""
MAX_ROWS: Final = 200
FIELDS: Final = ("position", "name", "email", "role", "contacts")
MAX_FIELDS: Final = len(FIELDS) * MAX_ROWS + 20


@dataclass(frozen=True, slots=True)
class MemberRow:
    """One member, as submitted."""

    position: str = ""
    """The place in the rotation, among members of the same role."""
    name: str = ""
    email: str = ""
    role: str = Role.PRIMARY.value
    contacts: str = ""
    """One contact per line: `email ada@example.org`."""


@dataclass(frozen=True, slots=True)
class ScheduleForm:
    """A schedule, as submitted."""

    team: str = ""
    rotation_type: str = RotationType.WEEKLY.value
    handoff_time: str = "09:00"
    handoff_weekday: str = Weekday.MONDAY.value
    time_zone: str = "UTC"
    services: str = ""
    """One per line."""
    version: str = ""
    """Of the schedule that is edited; empty for a new one."""
    rows: list[MemberRow] = field(default_factory=list)

    @property
    def untouched(self) -> bool:
        """Whether this is the form of a new schedule that nobody has filled in yet."""
        return replace(self, rows=[]) == type(self)()

    @classmethod
    def of(cls, schedule: Schedule) -> Self:
        """Return the form of *schedule*."""
        return cls(
            team=schedule.team,
            rotation_type=schedule.rotation_type.value,
            handoff_time=f"{schedule.handoff_time:%H:%M}",
            handoff_weekday=(schedule.handoff_weekday or Weekday.MONDAY).value,
            time_zone=schedule.time_zone,
            services="\n".join(schedule.services),
            version=str(schedule.version),
            rows=[_row(number, member) for number, member in enumerate(schedule.members, 1)],
        )

    @classmethod
    def read(cls, form: Mapping[str, str]) -> Self:
        """Return the form as submitted."""
        plain = {name: form[name] for name in cls.__dataclass_fields__ if name != "rows" and name in form}
        rows: list[MemberRow] = []
        while len(rows) < MAX_ROWS and f"name-{len(rows)}" in form:
            given = {name: form.get(f"{name}-{len(rows)}", "") for name in FIELDS}
            rows.append(MemberRow(**given))
        return cls(**plain, rows=rows)

    def with_spare_rows(self) -> Self:
        """Return the form with more empty rows at its end."""
        spare = [MemberRow(position=str(len(self.rows) + number)) for number in range(1, SPARE + 1)]
        return replace(self, rows=(self.rows + spare)[:MAX_ROWS])


def _row(number: int, member: Member) -> MemberRow:
    contacts = "\n".join(f"{contact.channel} {contact.address}" for contact in member.contacts)
    return MemberRow(str(number), member.name, member.email, member.role.value, contacts)


class InvalidFormError(Exception):
    """The form is not a valid schedule."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("the form is invalid")
        self.errors: Final = dict(errors)
        """By field (`time_zone`, `email-2`); the empty name is the form itself."""


def schedule_of(form: ScheduleForm, stored: Schedule | None) -> ScheduleIn:
    """Return the schedule in *form*; the rotation of the *stored* one continues. Raise InvalidFormError."""
    rows = sorted(
        ((number, row) for number, row in enumerate(form.rows) if row.name.strip() or row.email.strip()),
        key=lambda item: _position(item[1].position),
    )
    members = [
        {"name": row.name.strip(), "email": row.email.strip(), "role": row.role, "contacts": _contacts(number, row)}
        for number, row in rows
    ]
    given: dict[str, Any] = {
        "team": stored.team if stored else form.team,
        "rotation_type": form.rotation_type,
        "members": members,
        "services": [line.strip() for line in form.services.splitlines() if line.strip()],
        "time_zone": form.time_zone.strip(),
        "handoff_time": form.handoff_time,
        "handoff_weekday": form.handoff_weekday if form.rotation_type == RotationType.WEEKLY else None,
        "start": _start(form, stored) if stored else None,
    }
    try:
        return ScheduleIn.model_validate(given)
    except ValidationError as exc:
        raise InvalidFormError(_errors(exc, [number for number, _ in rows])) from exc


def _position(text: str) -> int:
    """Return the place in the rotation; an invalid number comes last."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < len("10000") else MAX_ROWS


def _contacts(number: int, row: MemberRow) -> list[dict[str, str]]:
    found = []
    for line in row.contacts.splitlines():
        channel, _, address = line.strip().partition(" ")
        if not channel:
            continue
        if channel not in CHANNELS or not address.strip():
            known = ", ".join(CHANNELS.names)
            detail = f"Each line is a channel ({known}) and an address, such as: email ada@example.org"
            raise InvalidFormError({f"contacts-{number}": detail})
        for error in CHANNELS.contact_errors(channel, address.strip()):
            detail = error["detail"]
            raise InvalidFormError({f"contacts-{number}": detail[:1].upper() + detail[1:]})
        found.append({"channel": channel, "address": address.strip()})
    return found


def _start(form: ScheduleForm, stored: Schedule) -> date | None:
    """Return the first day of the rotation: the stored one, moved forward to the chosen weekday."""
    start = stored.anchor.date()
    if form.rotation_type != RotationType.WEEKLY or form.handoff_weekday not in set(Weekday):
        return start
    return start + timedelta(days=(list(Weekday).index(Weekday(form.handoff_weekday)) - start.weekday()) % 7)


def _errors(exc: ValidationError, numbers: list[int]) -> dict[str, str]:
    errors: dict[str, str] = {}
    for item in exc.errors(include_url=False, include_context=False, include_input=False):
        place = item["loc"]
        name = str(place[0]) if place else ""
        if name == "members":
            name = f"{place[2]}-{numbers[int(place[1])]}" if len(place) > 2 else ""  # noqa: PLR2004 - the field in it
        detail = item["msg"].removeprefix("Value error, ")
        if place == ("members",):
            detail = "Add at least one member"
        errors.setdefault(name, detail[:1].upper() + detail[1:])
    return errors
