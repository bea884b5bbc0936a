"""What an escalation adds to the timeline of its incident."""

from collections.abc import Iterator, Sequence

from tocsin.contracts.escalations import EscalationPage, Level
from tocsin.contracts.incidents import AppendTimelineEntry, EventType
from tocsin.contracts.services import ONCALL_SERVICE
from tocsin.oncall.domain.timeline_texts import describe_nobody_on_call, describe_page


def first_step_entries(pages: Sequence[EscalationPage]) -> Iterator[AppendTimelineEntry]:
    """Yield the entries of the step that starts an escalation; *pages* are all of its pages, if any."""
    if pages and pages[0].level is Level.CATCH_ALL:
        yield nobody_on_call_entry(pages[0].team, pages[0].step, actor=ONCALL_SERVICE)
    yield from paged_entries(pages)


def nobody_on_call_entry(team: str | None, step: int, *, actor: str) -> AppendTimelineEntry:
    """Return the entry of a step that pages the catch-all because every level of *team* is empty."""
    return AppendTimelineEntry(
        event_key=f"nobody_on_call:{step}",
        event_type=EventType.NOBODY_ON_CALL,
        actor=actor,
        detail=describe_nobody_on_call(team),
        data={"step": step, "level": Level.CATCH_ALL, "team": team},
    )


def paged_entries(pages: Sequence[EscalationPage]) -> Iterator[AppendTimelineEntry]:
    """Yield an entry for each person whom a step pages."""
    by_person: dict[str, list[EscalationPage]] = {}
    for page in pages:
        by_person.setdefault(page.person, []).append(page)
    for person, sent in by_person.items():
        first = sent[0]
        yield AppendTimelineEntry(
            event_key=f"paged:{first.notification_id}",
            event_type=EventType.PAGED,
            actor=ONCALL_SERVICE,
            detail=describe_page(person, [page.channel for page in sent], first.reason),
            data={
                "step": first.step,
                "level": first.level,
                "team": first.team,
                "person": person,
                "reason": first.reason,
                "channels": [{"channel": page.channel, "notification_id": str(page.notification_id)} for page in sent],
            },
        )
