"""Addresses in responses: masked by their type for every reader who may not see them."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tocsin import contracts
from tocsin.contracts.contact_types import MASK, masked, masked_in, shown_address
from tocsin.contracts.delivery_report import DeliveryReport
from tocsin.contracts.model import Model
from tocsin.contracts.oncall import Contact
from tocsin.kernel.errors import InvalidRequestError
from tocsin.kernel.ids import new_id
from tocsin.kernel.principal import UNSIGNED, Principal, PrincipalKind, Scope
from tocsin.kernel.reader import READER, STRANGER, Reader
from tocsin.kernel.responses import respond
from tocsin.kernel.validation import parse_json

ADDRESS_LIKE: Final = re.compile(r"e_?mail|address|recipient|phone|webhook|contact", re.IGNORECASE)
NO_CONTACT_ADDRESS: Final = {
    "accounts": "accounts are shown to admins and to their owner only",
    "AuditEntry.address": "the network address of a client",
    "Member.contacts": "the addresses are in each contact",
}
"""Fields that look like addresses but are none that somebody is paged at."""
SECRET: Final = "https://robot:pw@chat.example.org/hooks/c4nary"  # noqa: S105 - made up


def models() -> Iterator[type[BaseModel]]:
    for module in pkgutil.iter_modules(contracts.__path__):
        if module.name not in NO_CONTACT_ADDRESS:
            found = vars(importlib.import_module(f"tocsin.contracts.{module.name}")).values()
            yield from {item for item in found if isinstance(item, type) and issubclass(item, Model)}


def test_every_field_for_an_address_has_a_type_that_masks_it() -> None:
    fields = {
        f"{model.__name__}.{name}": field
        for model in models()
        for name, field in model.model_fields.items()
        if ADDRESS_LIKE.search(name) and f"{model.__name__}.{name}" not in NO_CONTACT_ADDRESS
    }
    assert {"Contact.address", "Member.email", "Person.email", "Notification.recipient"} <= set(fields)
    unmasked = [
        name
        for name, field in fields.items()
        if not any(getattr(item, "func", None) is shown_address for item in every_annotation(field))
    ]
    assert unmasked == []


def every_annotation(field: Any) -> list[Any]:
    """Return what a field, or one side of its union, is annotated with."""
    sides = getattr(field.annotation, "__args__", ())
    return [*field.metadata, *(item for side in sides for item in getattr(side, "__metadata__", ()))]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("ada@example.org", "a…@example.org"),
        ("a@example.org", "a…@example.org"),
        (SECRET, "https://chat.example.org/…"),
        ("HTTP://h:8/p?token=x#y", "HTTP://h:8/…"),
        ("https://user:p@ss@h/x", "https://h/…"),
        ("+49 170 1234567", "+…"),
        ("priya", "p…"),
        ("@", "…"),
        ("", "…"),
    ],
)
def test_a_masked_address_can_be_recognised_but_not_used(address: str, shown: str) -> None:
    assert masked(address) == shown


@given(st.emails() | st.text() | st.just(SECRET))
def test_masking_twice_is_masking_once(address: str) -> None:
    assert masked(masked(address)) == masked(address)
    assert MASK in masked(address)


def test_a_provider_that_repeats_the_address_does_not_reveal_it() -> None:
    assert masked_in("550 <Ada@Example.org> unknown", "ada@example.org") == "550 <a…@example.org> unknown"
    assert masked_in("written to the console", "console") == "written to the console"
    assert masked_in("bada@example.org", "ada@example.org") == "bada@example.org"


@pytest.mark.parametrize(
    ("principal", "sees"),
    [
        (Principal(PrincipalKind.OPEN, None, UNSIGNED), True),
        (Principal(PrincipalKind.SERVICE, None, frozenset(Scope)), True),
        (Principal(PrincipalKind.PERSON, "Ada", frozenset(Scope) - {Scope.SERVICE}, new_id()), True),
        (Principal(PrincipalKind.PERSON, "Ada", frozenset(Scope) - {Scope.ADMIN}, new_id(), new_id()), False),
        (Principal(PrincipalKind.NOBODY, None, frozenset()), False),
    ],
)
def test_admins_services_and_open_principals_see_every_address(principal: Principal, sees: bool) -> None:  # noqa: FBT001
    assert Reader.of(principal).sees("ada@example.org") is sees


def test_a_response_masks_what_its_reader_does_not_know_and_nothing_else_does() -> None:
    contact = Contact(channel="webhook", address=SECRET)
    for reader, shown in (
        (STRANGER, masked(SECRET)),
        (Reader(sees_all=False, known=frozenset({SECRET.lower()})), SECRET),
        (Reader(sees_all=True), SECRET),
    ):
        token = READER.set(reader)
        assert respond(contact).text == f'{{"channel":"webhook","address":"{shown}"}}'
        assert SECRET in contact.model_dump_json(), "what is stored or sent to another service is complete"
        READER.reset(token)


def test_a_report_of_a_delivery_masks_the_recipient_also_in_its_text() -> None:
    recipient = "ada@example.org"
    report = DeliveryReport(detail=f"E-mail to Ada ({recipient}) delivered.", data={"recipient": recipient, "code": 1})
    shown = respond(report).text or ""
    assert recipient not in shown
    assert "E-mail to Ada (a…@example.org) delivered." in shown
    assert (respond(DeliveryReport(detail=recipient, data={})).text or "").count(recipient) == 1, "a person's own words"


def test_a_masked_address_in_a_request_is_refused_but_not_a_stored_one() -> None:
    body = Contact(channel="email", address="a…@example.org").model_dump_json().encode()
    with pytest.raises(InvalidRequestError) as refused:
        parse_json(body, Contact)
    assert "send the whole address" in refused.value.errors[0]["detail"]
    parse_json(Contact(channel="mock", address="and so on…").model_dump_json().encode(), Contact)


def test_the_schema_of_an_address_is_the_same_in_requests_and_responses() -> None:
    assert Contact.model_json_schema(mode="validation") == Contact.model_json_schema(mode="serialization")
