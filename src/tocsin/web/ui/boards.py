"""What a page needs from a service, also while a replica of the release before responds, which has lists only.

A replica that does not know an endpoint responds 404. Remove the second halves once no such release can be running.
"""

from collections.abc import Sequence
from http import HTTPStatus
from uuid import UUID

from tocsin.clients.incidents import IncidentsClient
from tocsin.clients.notifications import NotificationsClient
from tocsin.clients.oncall import OnCallClient
from tocsin.contracts.boards import (
    DailyTimes,
    IncidentBoard,
    IncidentListing,
    IncidentView,
    MessageBoard,
    OnCallBoard,
    OnCallListing,
)
from tocsin.contracts.escalations import Escalation
from tocsin.contracts.incidents import IncidentCounts
from tocsin.contracts.model import Page
from tocsin.kernel.errors import RejectedError
from tocsin.kernel.http_client import Budget


async def incident_board(
    client: IncidentsClient, *, open_limit: int, limit: int, resolved_since: str, days_since: str, budget: Budget
) -> IncidentBoard:
    """Return the newest incidents of each state, and the times of the last days."""
    since = {"resolved_since": resolved_since}
    try:
        return await client.board(open_limit=open_limit, limit=limit, days_since=days_since, **since, budget=budget)
    except RejectedError as exc:
        _check_unknown(exc)
    summary = await client.summary(since=days_since, budget=budget)
    return IncidentBoard(
        open=await client.list(status="open", limit=open_limit, budget=budget),
        acknowledged=await client.list(status="acknowledged", limit=limit, budget=budget),
        in_progress=await client.list(status="in_progress", limit=limit, budget=budget),
        resolved=await client.list(status="resolved", limit=limit, since=resolved_since, budget=budget),
        days=[
            DailyTimes(
                day=period.starts_at.date(),
                acknowledged=period.mtta.count,
                mtta_seconds=period.mtta.mean_seconds,
                resolved=period.mttr.count,
                mttr_seconds=period.mttr.mean_seconds,
            )
            for period in summary.over_time
        ],
    )


async def incident_listing(client: IncidentsClient, *, me: str, budget: Budget, **filters: object) -> IncidentListing:
    """Return a page of incidents and the number of unresolved ones, of all and of the person *me*."""
    try:
        return await client.listing(counted_for=me or None, budget=budget, **filters)
    except RejectedError as exc:
        _check_unknown(exc)
    return IncidentListing(
        page=await client.list(budget=budget, **filters),
        counts=await client.counts(budget=budget),
        own_counts=await client.counts(assigned_to=me, budget=budget) if me else IncidentCounts(),
    )


async def incident_view(client: IncidentsClient, ref: str, *, resolved: int, budget: Budget) -> IncidentView:
    """Return an incident, by id or number, with the newest *resolved* ones of its service."""
    try:
        return await client.view(ref, resolved=resolved, budget=budget)
    except RejectedError as exc:
        _check_unknown(exc)
    incident = await client.find(ref, budget=budget)
    return IncidentView(incident=incident, resolved=Page(items=[]), counts=await client.counts(budget=budget))


async def oncall_board(client: OnCallClient, ids: Sequence[UUID], *, limit: int, budget: Budget) -> OnCallBoard:
    """Return who is on call in the newest *limit* teams, and the escalations of incidents."""
    try:
        return await client.board(ids, limit=limit, budget=budget)
    except RejectedError as exc:
        _check_unknown(exc)
    schedules = await client.schedules(limit=limit, budget=budget)
    return OnCallBoard(
        teams=[await client.current(item.team, budget=budget) for item in schedules.items],
        more_teams=schedules.next_cursor is not None,
        escalations=await _escalations(client, ids, budget),
    )


async def oncall_listing(client: OnCallClient, ids: Sequence[UUID], *, limit: int, budget: Budget) -> OnCallListing:
    """Return the newest *limit* schedules, and the escalations of incidents."""
    try:
        return await client.listing(ids, limit=limit, budget=budget)
    except RejectedError as exc:
        _check_unknown(exc)
    schedules = await client.schedules(limit=limit, budget=budget)
    return OnCallListing(schedules=schedules, escalations=await _escalations(client, ids, budget))


async def message_board(client: NotificationsClient, *, limit: int, budget: Budget) -> MessageBoard:
    """Return the newest *limit* messages, and the newest ones that failed."""
    try:
        return await client.board(limit=limit, budget=budget)
    except RejectedError as exc:
        _check_unknown(exc)
    return MessageBoard(
        newest=await client.list(limit=limit, budget=budget),
        failed=await client.list(status="failed", limit=limit, budget=budget),
    )


async def _escalations(client: OnCallClient, ids: Sequence[UUID], budget: Budget) -> list[Escalation]:
    return (await client.escalations(ids, budget=budget)).items if ids else []


def _check_unknown(error: RejectedError) -> None:
    """Raise *error* unless the replica does not know the endpoint."""
    if error.status != HTTPStatus.NOT_FOUND:
        raise error
