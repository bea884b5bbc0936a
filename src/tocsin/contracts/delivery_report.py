"""Reports of a delivery, in which the recipient's address is masked."""

from typing import Any

from pydantic import SerializationInfo, field_serializer

from tocsin.contracts.contact_types import masked_in, shown_address
from tocsin.contracts.model import Model


class DeliveryReport(Model):
    """A text, and data that may name the recipient of a message as `recipient`: both are masked as addresses are."""

    detail: str
    data: dict[str, Any]

    @field_serializer("detail", when_used="json")
    def _shown_detail(self, detail: str, info: SerializationInfo) -> str:
        recipient = self._recipient()
        return masked_in(detail, recipient) if shown_address(recipient, info) != recipient else detail

    @field_serializer("data", when_used="json")
    def _shown_data(self, data: dict[str, Any], info: SerializationInfo) -> dict[str, Any]:
        recipient = self._recipient()
        return {**data, "recipient": shown_address(recipient, info)} if recipient else data

    def _recipient(self) -> str:
        recipient = self.data.get("recipient")
        return recipient if isinstance(recipient, str) else ""
