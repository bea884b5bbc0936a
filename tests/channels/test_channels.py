"""What every channel knows of itself, and what goes out: pure, so tested by properties."""

import re
from dataclasses import astuple
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.notifications.api import page
from tocsin.channels import CHANNELS, email, webhook
from tocsin.channels.channel import Channel
from tocsin.channels.email import EmailSettings
from tocsin.channels.message import Message, one_line, storable
from tocsin.channels.smtp_url import parse_smtp_url
from tocsin.contracts.notifications import NotificationKind, PageDetails
from tocsin.kernel.ids import new_id

WORDS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=10)


@given(st.text(max_size=3_000))
def test_a_stored_response_is_truncated_and_storable(answer: str) -> None:
    found = storable(answer)
    assert len(found.encode()) <= 2_048
    assert "\0" not in found
    if len(answer.encode(errors="replace")) <= 2_048:
        assert len(found) == len(answer)


@given(st.text(st.characters(), max_size=600), st.integers(1, 200))
def test_a_single_line_has_no_line_break_and_no_control_character(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert line.isprintable()
    assert not line.startswith(" ")


@given(st.sampled_from(["http", "https"]), WORDS, WORDS, WORDS, st.booleans())
def test_credentials_are_never_shown(scheme: str, user: str, password: str, host: str, with_port: bool) -> None:  # noqa: FBT001
    authority = f"{host}.example{':8443' if with_port else ''}"
    place = f"{authority}/c4nary?a=b@c#d"
    url = f"{scheme}://{quote(user)}:c4nary{quote(password)}@{place}"
    webhook.CHANNEL.check_address(url)
    assert CHANNELS.shown_address(url) == f"{scheme}://***@{authority}/***"
    assert CHANNELS.shown_address(CHANNELS.shown_address(url)) == CHANNELS.shown_address(url)
    assert webhook.CHANNEL.rate_limit_key(url) == webhook.CHANNEL.rate_limit_key(f"{scheme}://{place}")


@pytest.mark.parametrize(
    "address", ["priya@halyard.example", "console", "https://receiver.example", "https://receiver.example:8443/"]
)
def test_an_address_without_secrets_is_shown_as_it_is(address: str) -> None:
    assert CHANNELS.shown_address(address) == address


@pytest.mark.parametrize(
    "address", ["http://a.example/x", "HTTP://a.example/?q", "http://a.example?q", "http://a.example#q\n"]
)
def test_of_a_url_only_scheme_and_host_are_shown(address: str) -> None:
    assert CHANNELS.shown_address(address).lower() in {f"http://a.example{mark}***" for mark in ("/", "/?", "?", "#")}


def test_the_rate_limit_is_by_channel_and_for_webhooks_by_host_and_port() -> None:
    mail, key = email.CHANNEL, webhook.CHANNEL.rate_limit_key
    assert mail.rate_limit_key("priya@halyard.example") == mail.rate_limit_key("carol@halyard.example") == "email"
    assert key("https://Receiver.example/a") == key("https://receiver.example:443/b") == "webhook receiver.example:443"
    assert key("https://receiver.example/") != key("http://receiver.example/")


ADDRESSES = st.text(min_size=3, max_size=60).map(lambda text: f"{text[:-2]}@{text[-2:]}")


@given(user=ADDRESSES, text=st.text(min_size=1, max_size=300), title=st.text(max_size=300))
@example(user="a..b@c", text="x", title="y")
@example(user="ä@ö", text="\r\nBcc: x@y\r\n\r\n.\r\n", title="\r\n\r\nBcc: x@y")
def test_no_text_can_add_a_header_to_a_mail(user: str, text: str, title: str) -> None:
    try:
        email.CHANNEL.check_address(user)
    except ValueError:
        return
    details: Any = page("console")["page"]
    details["incident"] = {**details["incident"], "title": title}
    message = Message(
        delivery_id=new_id(),
        incident_id=new_id(),
        kind=NotificationKind.PAGE,
        address=user,
        text=text,
        page=PageDetails.model_validate(details),
        created_at=datetime.now(UTC),
        attempt=1,
    )
    mail = email.CHANNEL.render(message, EmailSettings.model_validate({"smtp_from": "tocsin@halyard.example"}))
    read = message_from_bytes(mail.as_bytes(), policy=default)
    headers = {"From", "To", "Subject", "Message-ID", "In-Reply-To", "References", "Auto-Submitted"}
    assert set(read.keys()) == headers | {"MIME-Version", "Content-Type"}


def rendered(channel: Channel[Any]) -> Any:
    """Return what *channel* renders for one fixed page, as bytes where it is an e-mail."""
    message = Message(
        delivery_id=UUID(int=1),
        incident_id=UUID(int=2),
        kind=NotificationKind.PAGE,
        address=channel.address_example,
        text="#2481 Payments fail",
        page=PageDetails.model_validate(page("console")["page"]),
        created_at=datetime(2026, 11, 21, 10, tzinfo=UTC),
        attempt=1,
        public_url="https://tocsin.example",
    )
    found = channel.render(message, channel.settings_type.model_validate({"smtp_from": "tocsin@halyard.example"}))
    return found.as_bytes() if isinstance(found, EmailMessage) else found


@pytest.mark.parametrize("channel", list(CHANNELS), ids=lambda channel: channel.name)
def test_rendering_is_pure(channel: Channel[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    first = rendered(channel)

    def touched(*_args: Any, **_kwargs: Any) -> Any:
        pytest.fail("rendering reached the network, a file, a clock or a source of randomness")

    for name in ("socket.socket", "builtins.open", "os.urandom", "time.time", "time.monotonic", "random.randrange"):
        monkeypatch.setattr(name, touched)
    again = rendered(channel)
    monkeypatch.undo()
    assert again == first


@pytest.mark.parametrize("channel", list(CHANNELS), ids=lambda channel: channel.name)
def test_every_channel_describes_itself(channel: Channel[Any]) -> None:
    assert re.fullmatch("[a-z][a-z0-9_]*", channel.name)
    assert channel.label
    assert channel.label_in_text
    assert channel.address_help
    assert channel.set_up
    channel.check_address(channel.address_example)
    # The dispatcher finds the channel of a key by its first word.
    assert channel.rate_limit_key(channel.address_example).partition(" ")[0] == channel.name


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example.com", ("mail.example.com", 587, False, "auto", None, None)),
        ("smtps://u%40x:p%2Fw@mail.example.com/", ("mail.example.com", 465, True, "auto", "u@x", "p/w")),
        ("smtp://u:p@[::1]:2525?starttls=required", ("::1", 2525, False, "required", "u", "p")),
        ("smtp://127.0.0.1:25?starttls=off", ("127.0.0.1", 25, False, "off", None, None)),
    ],
)
def test_a_mail_server_is_read_from_its_address(url: str, expected: tuple[object, ...]) -> None:
    assert astuple(parse_smtp_url(url)) == expected


def test_the_mail_servers_user_is_the_sender_unless_smtp_from_is_set() -> None:
    url = "smtp://robot%40halyard.example:p@mail.example.com"
    assert EmailSettings.model_validate({"smtp_url": url}).sender() == "robot@halyard.example"
    own = {"smtp_url": url, "smtp_from": "tocsin@halyard.example"}
    assert EmailSettings.model_validate(own).sender() == "tocsin@halyard.example"
