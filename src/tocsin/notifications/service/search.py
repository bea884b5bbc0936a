"""Read messages: lists, single messages and summaries."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from tocsin.contracts.boards import MessageBoard
from tocsin.contracts.model import Page
from tocsin.contracts.notifications import (
    Attempt,
    ChannelSummary,
    Notification,
    NotificationStatus,
    NotificationSummary,
)
from tocsin.kernel.db import Row, autocommit
from tocsin.kernel.pagination import page_of
from tocsin.notifications.queries import NotificationQuery
from tocsin.notifications.repository import notifications
from tocsin.notifications.service import Deps


async def get(deps: Deps, notification_id: UUID) -> Notification:
    """Return one message with its attempts. Raise NotFoundError."""
    async with autocommit(deps.db) as cur:
        row = await notifications.get_notification(cur, notification_id)
        attempts = await notifications.list_attempts(cur, [notification_id])
    return _with_attempts([row], attempts)[0]


async def list_page(deps: Deps, filters: Mapping[str, Any], *, limit: int) -> tuple[list[Notification], str | None]:
    """Return a page of messages with their attempts, newest first, and the next page's cursor."""
    async with autocommit(deps.db) as cur:
        found = await notifications.list_notifications(cur, filters)
        rows, cursor = page_of(found, limit, lambda row: row)
        attempts = await notifications.list_attempts(cur, [row["id"] for row in rows])
    return _with_attempts(rows, attempts), cursor


async def get_board(deps: Deps, *, limit: int) -> MessageBoard:
    """Return the newest messages, and the newest ones that failed."""
    newest = NotificationQuery(limit=limit)
    failed = NotificationQuery(limit=limit, status=NotificationStatus.FAILED)
    async with autocommit(deps.db) as cur:
        lists = [
            page_of(await notifications.list_notifications(cur, query.filters()), limit, lambda row: row)
            for query in (newest, failed)
        ]
        attempts = await notifications.list_attempts(cur, list({row["id"] for rows, _ in lists for row in rows}))
    pages = [Page[Notification](items=_with_attempts(rows, attempts), next_cursor=cursor) for rows, cursor in lists]
    return MessageBoard(newest=pages[0], failed=pages[1])


async def summarise(deps: Deps, *, since: datetime | None) -> NotificationSummary:
    """Count the newest 10,000 messages of a window by channel and outcome, by default of the last 24 hours."""
    async with autocommit(deps.db) as cur:
        rows = await notifications.summarise(cur, since=since)
    [total] = [row for row in rows if row["channel"] is None]
    return NotificationSummary(
        by_channel=[ChannelSummary.model_validate(row) for row in rows if row is not total],
        median_seconds=total["median_seconds"],
        cut_at=total["oldest"] if total["messages"] >= notifications.SUMMARY_LIMIT else None,
    )


def _with_attempts(rows: Sequence[Row], attempts: Sequence[Row]) -> list[Notification]:
    by_message: dict[UUID, list[Attempt]] = {row["id"]: [] for row in rows}
    for attempt in attempts:
        if attempt["notification_id"] in by_message:
            by_message[attempt["notification_id"]].append(Attempt.model_validate(attempt))
    return [Notification.model_validate({**row, "attempts": by_message[row["id"]]}) for row in rows]
