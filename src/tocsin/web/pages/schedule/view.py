"""The view of the form of a schedule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tocsin.channels import CHANNELS
from tocsin.channels.channel import Channel
from tocsin.contracts.oncall import ZONES, Schedule, Weekday
from tocsin.web.pages.schedule.schedule_form import ScheduleForm

NEW: Final = "new"
"""Stands in the address for the id of a schedule that is to be created."""


@dataclass(frozen=True, slots=True)
class ScheduleData:
    """What the services returned."""

    schedule_id: str
    """That of the address: an id, or NEW."""
    stored: Schedule | None
    """The schedule that is edited; None for a new one, and while on-call is unavailable."""


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """All that the page shows."""

    address: str
    is_new: bool
    stored: Schedule | None
    form: ScheduleForm
    errors: Mapping[str, str]
    """By field; the empty name is the form itself."""
    suggest_zone: bool
    """Whether the form is untouched and new: a script then enters the browser's time zone."""
    outdated: bool
    """Whether the form was filled from an older version than the stored one."""
    zones: Sequence[str]
    weekdays: Sequence[Weekday]
    channels: Sequence[Channel[Any]]


def schedule_view(data: ScheduleData, form: ScheduleForm, errors: Mapping[str, str] | None = None) -> ScheduleView:
    """Return the page's view of *form* as it was filled in, with its *errors*."""
    return ScheduleView(
        address=f"/oncall/{data.schedule_id}",
        is_new=data.schedule_id == NEW,
        stored=data.stored,
        form=form,
        errors=errors or {},
        suggest_zone=form.untouched,
        outdated=data.stored is not None and form.version != str(data.stored.version),
        zones=sorted(ZONES),
        weekdays=list(Weekday),
        channels=list(CHANNELS),
    )
