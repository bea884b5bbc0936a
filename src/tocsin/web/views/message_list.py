"""The view of messages: what went out, and whether it arrived."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tocsin.channels import CHANNELS
from tocsin.contracts.incidents import IncidentSummary
from tocsin.contracts.model import Page
from tocsin.contracts.notifications import (
    AttemptOutcome,
    ChannelSummary,
    Notification,
    NotificationStatus,
    NotificationSummary,
)
from tocsin.contracts.oncall import Schedule
from tocsin.web.lists.filters import MessageFilter
from tocsin.web.views import words
from tocsin.web.views.answer import Answer
from tocsin.web.views.away import Degraded
from tocsin.web.views.deliveries import Delivery, Try, delivery_of, try_of


@dataclass(frozen=True, slots=True)
class ChannelFigure:
    """How one channel does."""

    word: str
    sent: int
    tone: str
    icon: str
    state: str


@dataclass(frozen=True, slots=True)
class Row:
    """One message."""

    message: Notification
    to: str
    is_person: bool
    incident: IncidentSummary | None
    """None where incident management cannot say."""
    delivery: Delivery
    tries: list[Try]
    unfolded: bool
    """Its attempts stand open: the last one did not arrive."""
    again: bool
    """It can be sent again."""


@dataclass(frozen=True, slots=True)
class MessageList:
    """All that the page shows."""

    at: datetime
    filter: MessageFilter
    heading: str
    window: str
    cut_at: datetime | None
    channels: list[ChannelFigure]
    people: list[str]
    rows: list[Row] | None
    """None while the notification service is away."""
    older: str
    newest: str
    degraded: Degraded


@dataclass(frozen=True, slots=True)
class Seen:
    """What the services said."""

    page: Page[Notification] | None
    summary: NotificationSummary | None
    incidents: Mapping[UUID, IncidentSummary]
    schedules: Answer[Page[Schedule]]


def list_of(seen: Seen, chosen: MessageFilter, degraded: Degraded, at: datetime) -> MessageList:
    """Build the view of the messages that are *chosen*, as of *at*."""
    page, summary = seen.page, seen.summary
    schedules = seen.schedules.value.items if seen.schedules.value else []
    channels = summary.by_channel if summary else []
    return MessageList(
        at=at,
        filter=chosen,
        heading=_heading(channels) if summary else "What went out cannot be shown now",
        window=_window(summary) if summary else "",
        cut_at=summary.cut_at if summary else None,
        channels=[_channel(channel) for channel in channels],
        people=sorted({member.name for schedule in schedules for member in schedule.members}, key=str.casefold),
        rows=[_row(message, seen.incidents, at) for message in page.items] if page else None,
        older=chosen.but(cursor=page.next_cursor).address if page and page.next_cursor else "",
        newest=chosen.but().address if chosen.cursor else "",
        degraded=degraded,
    )


def _heading(channels: Sequence[ChannelSummary]) -> str:
    failed = sum(channel.failed for channel in channels)
    if not channels:
        return "No message went out"
    if failed:
        return f"{words.count(failed, 'message')} could not be delivered"
    queued = sum(channel.queued for channel in channels)
    if queued:
        return f"{words.count(queued, 'message is', 'messages are')} on the way, and none is lost"
    return "Every message was delivered"


def _window(summary: NotificationSummary) -> str:
    sent = sum(channel.sent for channel in summary.by_channel)
    voided = sum(channel.voided for channel in summary.by_channel)
    wanted = sum(channel.sent + channel.failed + channel.queued for channel in summary.by_channel)
    if not summary.by_channel:
        return "In the last 24 hours."
    half = ""
    if summary.median_seconds is not None and sent > 1:
        half = f"; half of them within {words.brief(summary.median_seconds)}"
    needless = ""
    if voided:
        needless = f" {words.count(voided, 'other was', 'others were')} not sent, as somebody had answered."
    whose = "its" if wanted == 1 else "their"
    return f"{sent:,} of {wanted:,} reached {whose} channel in the last 24 hours{half}.{needless}"


def _channel(channel: ChannelSummary) -> ChannelFigure:
    tone, icon, state = "ok", "check", "all delivered"
    if channel.queued:
        tone, icon, state = "wait", "clock", f"{channel.queued:,} on the way"
    if channel.retrying:
        tone, icon, state = "wait", "retry", f"{channel.retrying:,} tried again"
    if channel.failed:
        tone, icon, state = "fail", "cross", f"{channel.failed:,} failed"
    if not channel.sent and tone == "ok":
        tone, icon, state = "mute", "mute", "not needed"
    return ChannelFigure(CHANNELS.label(channel.channel), channel.sent, tone, icon, state)


def _row(message: Notification, incidents: Mapping[UUID, IncidentSummary], at: datetime) -> Row:
    return Row(
        message=message,
        to=message.person or message.recipient,
        is_person=message.person is not None,
        incident=incidents.get(message.incident_id),
        delivery=delivery_of(message, at),
        tries=[try_of(attempt) for attempt in message.attempts],
        unfolded=bool(message.attempts) and message.attempts[-1].outcome is not AttemptOutcome.SENT,
        again=message.status is NotificationStatus.FAILED,
    )
