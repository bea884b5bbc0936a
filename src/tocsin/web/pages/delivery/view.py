"""The view of the list of messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tocsin.channels import CHANNELS
from tocsin.contracts.incidents import IncidentSummary
from tocsin.contracts.model import Page
from tocsin.contracts.notifications import ChannelSummary, Notification, NotificationStatus, NotificationSummary
from tocsin.contracts.oncall import Schedule
from tocsin.web.pages.delivery.filter import MessageFilter
from tocsin.web.ui import format as fmt
from tocsin.web.ui.cached import Cached
from tocsin.web.ui.deliveries import Delivery, DeliveryAttempt, attempt_of, delivery_of, latency
from tocsin.web.ui.empty_state import EmptyState
from tocsin.web.ui.outages import Outages
from tocsin.web.ui.pagination import PageLinks, page_links


@dataclass(frozen=True, slots=True)
class ChannelFigure:
    """The last day of one channel."""

    label: str
    sent: int
    tone: str
    icon: str
    state: str


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One message."""

    message: Notification
    to: str
    is_person: bool
    incident: IncidentSummary | None
    """None while incident management is unavailable."""
    delivery: Delivery
    attempts: list[DeliveryAttempt]
    can_retry: bool


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """All that the page shows."""

    at: datetime
    filter: MessageFilter
    heading: str
    window: str
    cut_at: datetime | None
    channels: list[ChannelFigure]
    channel_labels: Mapping[str, str]
    people: list[str]
    rows: list[MessageRow] | None
    """None while the notification service is unavailable."""
    empty: EmptyState
    """What is shown if there is no row."""
    links: PageLinks
    outages: Outages


@dataclass(frozen=True, slots=True)
class DeliveryData:
    """What the services returned; None where one is unavailable."""

    at: datetime
    filter: MessageFilter
    page: Page[Notification] | None
    summary: NotificationSummary | None
    incidents: Mapping[UUID, IncidentSummary]
    schedules: Cached[Page[Schedule]]
    outages: Outages


def delivery_view(data: DeliveryData) -> DeliveryView:
    """Return the page's view of *data*."""
    page, summary, chosen = data.page, data.summary, data.filter
    schedules = data.schedules.value.items if data.schedules.value else []
    channels = summary.by_channel if summary else []
    return DeliveryView(
        at=data.at,
        filter=chosen,
        heading=_heading(channels) if summary else "Messages cannot be shown right now",
        window=_window(summary) if summary else "",
        cut_at=summary.cut_at if summary else None,
        channels=[_channel(channel) for channel in channels],
        channel_labels=CHANNELS.labels,
        people=sorted({member.name for schedule in schedules for member in schedule.members}, key=str.casefold),
        rows=[_row(message, data.incidents, data.at) for message in page.items] if page else None,
        empty=_empty(chosen),
        links=page_links(chosen, page),
        outages=data.outages,
    )


def _heading(channels: Sequence[ChannelSummary]) -> str:
    failed = sum(channel.failed for channel in channels)
    if not channels:
        return "No message was sent"
    if failed:
        return f"{fmt.count(failed, 'message')} could not be delivered"
    queued = sum(channel.queued for channel in channels)
    if queued:
        return f"{fmt.count(queued, 'message is', 'messages are')} in the queue, and none failed"
    if not any(channel.sent for channel in channels):
        return "Every message was cancelled"
    return "Every message was delivered"


def _empty(chosen: MessageFilter) -> EmptyState:
    if chosen.cursor:
        return EmptyState("There are no older messages.", [("Show the newest", chosen.with_filters().address)])
    if chosen == MessageFilter():
        links = [("Set up channels", "/handbook/channels.md"), ("Open an incident to try it", "/incidents/new")]
        return EmptyState("No message yet: the first incident pages the people on call.", links)
    return EmptyState("No message matches this filter.", [("Show all messages", MessageFilter.path)])


def _window(summary: NotificationSummary) -> str:
    sent = sum(channel.sent for channel in summary.by_channel)
    cancelled = sum(channel.voided for channel in summary.by_channel)
    wanted = sum(channel.sent + channel.failed + channel.queued for channel in summary.by_channel)
    if not summary.by_channel:
        return "In the last 24 hours."
    reason = "because the incident was acknowledged or resolved first."
    if not wanted:
        return f"{fmt.count(cancelled, 'message was', 'messages were')} cancelled in the last 24 hours, {reason}"
    half = ""
    if summary.median_seconds is not None and sent > 1:
        half = f"; half of them within {latency(summary.median_seconds)}"
    needless = ""
    if cancelled:
        needless = f" {fmt.count(cancelled, 'other was', 'others were')} cancelled, {reason}"
    return f"{sent:,} of {wanted:,} delivered in the last 24 hours{half}.{needless}"


def _channel(channel: ChannelSummary) -> ChannelFigure:
    tone, icon, state = "ok", "check", "all delivered"
    if channel.queued:
        tone, icon, state = "wait", "clock", f"{channel.queued:,} queued"
    if channel.retrying:
        tone, icon, state = "wait", "retry", f"{channel.retrying:,} retrying"
    if channel.failed:
        tone, icon, state = "fail", "cross", f"{channel.failed:,} failed"
    if not channel.sent and tone == "ok":
        tone, icon, state = "mute", "mute", "all cancelled"
    return ChannelFigure(CHANNELS.label(channel.channel), channel.sent, tone, icon, state)


def _row(message: Notification, incidents: Mapping[UUID, IncidentSummary], at: datetime) -> MessageRow:
    return MessageRow(
        message=message,
        to=message.person or message.recipient,
        is_person=message.person is not None,
        incident=incidents.get(message.incident_id),
        delivery=delivery_of(message, at),
        attempts=[attempt_of(attempt) for attempt in message.attempts],
        can_retry=message.status is NotificationStatus.FAILED,
    )
