"""Sentences that an escalation adds to the timeline of its incident."""

from collections.abc import Iterable

from tocsin.channels import CHANNELS
from tocsin.contracts.escalations import CATCH_ALL_PERSON
from tocsin.oncall.domain.escalation import StepPlan, describe_level


def describe_timeout(seconds: float) -> str:
    """Return a time-out in minutes if they are whole, else in seconds."""
    minutes, rest = divmod(seconds, 60)
    return f"{seconds:g} s" if rest or not minutes else f"{minutes:g} min"


def describe_page(person: str, channels: Iterable[str], reason: str) -> str:
    """Return who was paged, over which channels and why."""
    labels = ", ".join(dict.fromkeys(CHANNELS.label_in_text(channel) for channel in channels))
    return f"Paged {person} by {labels}: {reason}"


def describe_escalation(plan: StepPlan, team: str, reason: str) -> str:
    """Return which level was paged and why, with the levels that were skipped."""
    text = f"Escalated to {describe_level(plan.level, team)}: {reason}"
    return f"{text}; nobody is {' or '.join(plan.skipped)}" if plan.skipped else text


def describe_nobody_on_call(team: str | None) -> str:
    """Return that the catch-all contact was paged because every level of *team* is empty."""
    return f"Nobody is on call for {team} at any level: paging {CATCH_ALL_PERSON}"
