"""Fakes of alert ingestion and the notification service, as far as the web pages use them."""

from collections import Counter
from datetime import UTC, datetime
from statistics import median

from aiohttp import web

from tests.fakes.answers import answer, asked_for, newest_page, page_of, refuse
from tests.fakes.peer import FakePeer
from tocsin.contracts.alerts import Alert, AlertDetail, AlertSummary, RawRequest
from tocsin.contracts.boards import MessageBoard
from tocsin.contracts.model import Page
from tocsin.contracts.notifications import (
    ChannelSummary,
    Notification,
    NotificationQueued,
    NotificationStatus,
    NotificationSummary,
)
from tocsin.kernel.ids import new_id


class FakeAlerts(FakePeer):
    """Alerts with their raw requests."""

    def __init__(self) -> None:
        super().__init__(
            [
                web.get("/api/v1/alerts", self._list),
                web.get("/api/v1/alerts/summary", self._summary),
                web.get("/api/v1/alerts/{alert_id}", self._find),
            ]
        )
        self.alerts: list[Alert] = []
        self.older: list[Alert] = []
        """Alerts that are found by id but not listed."""
        self.body = "{}"
        """The body of every raw request."""
        self.cut_at: datetime | None = None

    def _since(self, request: web.Request) -> list[Alert]:
        begin = datetime.fromisoformat(request.query.get("since", "2000-01-01T00:00:00+00:00"))
        return [item for item in self.alerts if item.created_at >= begin]

    async def _list(self, request: web.Request) -> web.Response:
        names = ("service", "severity", "status", "incident_id", "action", "integration")
        words = request.query.get("q", "").lower()
        shown = [item for item in self._since(request) if asked_for(request, item, *names)]
        return page_of(request, Page[Alert], [item for item in shown if words in item.message.lower()])

    async def _summary(self, request: web.Request) -> web.Response:
        counted = self._since(request)
        return answer(
            AlertSummary(
                alerts=len(counted),
                incidents=len({item.incident_id for item in counted if item.incident_id}),
                reports=sum(item.occurrences for item in counted),
                by_action=Counter(item.action for item in counted),
                cut_at=self.cut_at,
            )
        )

    async def _find(self, request: web.Request) -> web.Response:
        known = [*self.alerts, *self.older]
        found = next((item for item in known if str(item.id) == request.match_info["alert_id"]), None)
        if found is None:
            return refuse(404, f"There is no alert {request.match_info['alert_id']}. Alerts are kept for 90 days.")
        raw = self.body and RawRequest(
            id=new_id(),
            integration=found.integration,
            content_type="application/json",
            body=self.body,
            created_at=found.created_at,
        )
        return answer(AlertDetail(**found.model_dump(), request=raw or None))


class FakeMessages(FakePeer):
    """Messages; a failed one can be sent again."""

    def __init__(self) -> None:
        super().__init__(
            [
                web.get("/api/v1/notifications", self._list),
                web.get("/api/v1/notifications/summary", self._summary),
                web.get("/api/v1/notifications/board", self._board),
                web.post("/api/v1/notifications/{notification_id}/redeliver", self._redeliver),
            ]
        )
        self.messages: list[Notification] = []

    async def _list(self, request: web.Request) -> web.Response:
        names = ("status", "incident_id", "channel", "person")
        return page_of(
            request, Page[Notification], [item for item in self.messages if asked_for(request, item, *names)]
        )

    async def _board(self, request: web.Request) -> web.Response:
        limit = int(request.query["limit"])
        failed = [item for item in self.messages if item.status is NotificationStatus.FAILED]
        newest, newest_failed = (
            newest_page(request, Page[Notification], items, limit=limit) for items in (self.messages, failed)
        )
        return answer(MessageBoard(newest=newest, failed=newest_failed))

    async def _summary(self, _request: web.Request) -> web.Response:
        used = {item.channel: Counter[str]() for item in self.messages}
        for item in self.messages:
            used[item.channel][item.status] += 1
            used[item.channel]["retrying"] += item.status is NotificationStatus.QUEUED and bool(item.attempts)
        took = [
            (item.finished_at - item.created_at).total_seconds()
            for item in self.messages
            if item.finished_at and item.status is NotificationStatus.SENT
        ]
        return answer(
            NotificationSummary(
                by_channel=[
                    ChannelSummary(
                        channel=channel,
                        **{name: counted[name] for name in ("sent", "queued", "retrying", "failed", "voided")},
                    )
                    for channel, counted in used.items()
                ],
                median_seconds=median(took) if took else None,
                cut_at=None,
            )
        )

    async def _redeliver(self, request: web.Request) -> web.Response:
        for index, item in enumerate(self.messages):
            if str(item.id) == request.match_info["notification_id"]:
                if item.status is NotificationStatus.SENT:
                    return refuse(409, "It was delivered at 2026-10-22T01:12:24Z; send a new message instead.")
                queued = {
                    "status": NotificationStatus.QUEUED,
                    "finished_at": None,
                    "next_attempt_at": datetime.now(UTC),
                }
                self.messages[index] = item.model_copy(update=queued)
                return answer(NotificationQueued(notification_id=item.id, status=NotificationStatus.QUEUED))
        return refuse(404, f"There is no notification {request.match_info['notification_id']}.")
