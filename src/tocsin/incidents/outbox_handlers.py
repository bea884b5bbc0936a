"""Deliver the outbox: start and stop escalations in on-call."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from tocsin.clients.oncall import OnCallClient
from tocsin.incidents.service.escalations import START, STOP, confirm
from tocsin.incidents.service.timeline import append_entries
from tocsin.kernel.db import Cursor
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.outbox import AfterDelivery, Handler, OutboxMessage

START_ESCALATION: Final = Failpoint("incidents.start_escalation")
STOP_ESCALATION: Final = Failpoint("incidents.stop_escalation")


def outbox_handlers(oncall: OnCallClient) -> Mapping[str, Handler]:
    """Return the handler of each kind of message."""

    async def start(message: OutboxMessage) -> AfterDelivery:
        async with START_ESCALATION():
            escalation = await oncall.start(message.body, idempotency_key=str(message.message_id))

        async def after(cur: Cursor) -> None:
            await confirm(cur, UUID(message.key), escalation)
            await append_entries(cur, UUID(message.key), escalation.timeline)

        return after

    async def stop(message: OutboxMessage) -> None:
        async with STOP_ESCALATION():
            await oncall.stop(UUID(message.key), message.body, idempotency_key=str(message.message_id))

    return {START: start, STOP: stop}
