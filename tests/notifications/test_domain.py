"""Properties of what is pure: when to give up, what is shown, what is kept, what a mail looks like."""

from dataclasses import astuple
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.support.notifications.api import page
from tocsin.contracts.contact_types import mail_address, webhook_url
from tocsin.contracts.notifications import AttemptOutcome, NotificationKind, NotificationStatus, PageDetails
from tocsin.contracts.oncall import Channel
from tocsin.kernel.ids import new_id
from tocsin.kernel.settings import describe
from tocsin.notifications.channels.mail import compose
from tocsin.notifications.channels.smtp_url import parse_smtp_url
from tocsin.notifications.domain import (
    MAX_RETRY_AFTER_SECONDS,
    Limits,
    Message,
    Outcome,
    judge,
    kept,
    lane_of,
    one_line,
    shown,
)
from tocsin.notifications.settings import Settings

LIMITS = Limits(tries=20, seconds=300.0)
SECONDS = st.floats(0, 1_000)
WORDS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=10)


@given(
    asked=st.floats(0, 1e9),
    tries=st.integers(1, 40),
    waited=SECONDS,
    pause=st.floats(0.01, 30),
)
def test_what_may_pass_is_tried_again_until_tries_or_time_run_out(
    asked: float, tries: int, waited: float, pause: float
) -> None:
    outcome = Outcome.retry("busy", 503, asked)
    verdict = judge(outcome, tries=tries, waited_seconds=waited, pause=pause, limits=LIMITS)
    if verdict.status is NotificationStatus.QUEUED:
        assert tries < LIMITS.tries
        assert verdict.delay is not None
        assert pause <= verdict.delay <= max(pause, MAX_RETRY_AFTER_SECONDS)
        assert verdict.delay >= min(asked, MAX_RETRY_AFTER_SECONDS)
        assert waited + verdict.delay <= LIMITS.seconds
    else:
        assert verdict.status is NotificationStatus.FAILED
        assert tries >= LIMITS.tries or waited + max(pause, min(asked, MAX_RETRY_AFTER_SECONDS)) > LIMITS.seconds


@given(st.sampled_from([AttemptOutcome.SENT, AttemptOutcome.FAILED]), st.integers(1, 40), SECONDS)
def test_success_and_refusal_end_a_message_whenever_they_come(kind: AttemptOutcome, tries: int, waited: float) -> None:
    verdict = judge(Outcome(kind, "so be it"), tries=tries, waited_seconds=waited, pause=1, limits=LIMITS)
    assert verdict.status == ("sent" if kind is AttemptOutcome.SENT else "failed")
    assert verdict.delay is None


@given(st.text(max_size=3_000))
def test_what_is_kept_of_an_answer_fits_and_can_be_stored(answer: str) -> None:
    found = kept(answer)
    assert len(found.encode()) <= 2_048
    assert "\0" not in found
    if len(answer.encode(errors="replace")) <= 2_048:
        assert len(found) == len(answer)


@given(st.text(st.characters(), max_size=600), st.integers(1, 200))
def test_one_line_is_one_line_that_no_terminal_obeys(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert line.isprintable()
    assert not line.startswith(" ")


@given(st.sampled_from(["http", "https"]), WORDS, WORDS, WORDS, st.booleans())
def test_credentials_are_never_shown(scheme: str, user: str, password: str, host: str, with_port: bool) -> None:  # noqa: FBT001
    place = f"{host}.example{':8443' if with_port else ''}/hook?a=b@c#d"
    url = webhook_url(f"{scheme}://{quote(user)}:c4nary{quote(password)}@{place}")
    assert shown(url) == f"{scheme}://***@{place}"
    assert shown(shown(url)) == shown(url)
    assert lane_of(Channel.WEBHOOK, url) == lane_of(Channel.WEBHOOK, f"{scheme}://{place}")


@pytest.mark.parametrize(
    "address", ["priya@halyard.example", "console", "https://receiver.example/a@b", "http://x.example/?q=a:b@c"]
)
def test_an_address_without_credentials_is_shown_as_it_is(address: str) -> None:
    assert shown(address) == address


def test_a_lane_is_a_channel_or_a_webhooks_host_and_port() -> None:
    webhook = Channel.WEBHOOK
    assert lane_of(Channel.EMAIL, "priya@halyard.example") == lane_of(Channel.EMAIL, "carol@halyard.example")
    assert lane_of(webhook, "https://Receiver.example/a") == lane_of(webhook, "https://receiver.example:443/b")
    assert lane_of(webhook, "https://receiver.example/") != lane_of(webhook, "http://receiver.example/")


ADDRESSES = st.text(min_size=3, max_size=60).map(lambda text: f"{text[:-2]}@{text[-2:]}")


@given(user=ADDRESSES, text=st.text(min_size=1, max_size=300), title=st.text(max_size=300))
@example(user="a..b@c", text="x", title="y")
@example(user="ä@ö", text="\r\nBcc: x@y\r\n\r\n.\r\n", title="\r\n\r\nBcc: x@y")
def test_no_text_adds_a_header_to_a_mail(user: str, text: str, title: str) -> None:
    try:
        address = mail_address(user)
    except ValueError:
        return
    details: Any = page("console")["page"]
    details["incident"] = {**details["incident"], "title": title}
    message = Message(
        delivery_id=new_id(),
        incident_id=new_id(),
        kind=NotificationKind.PAGE,
        address=address,
        text=text,
        page=PageDetails.model_validate(details),
        created_at=datetime.now(UTC),
        attempt=1,
    )
    mail = compose(message, sender="tocsin@halyard.example", public_url=None, now=datetime.now(UTC))
    read = message_from_bytes(mail.as_bytes(), policy=default)
    headers = {"From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted"}
    assert set(read.keys()) == headers | {"MIME-Version", "Content-Type"}


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


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.com",
        "http://u:c4nary@mail.example.com",
        "smtp://",
        "smtp://u:c4nary@mail.example.com:99999",
        "smtp://u:c4nary@mail.example.com/path",
        "smtp://u:c4nary@mail.example.com?starttls=perhaps",
        "smtp://u:c4nary@mail.example.com?colour=red",
        "smtp://u:c4nary@[mail",
    ],
)
def test_a_wrong_mail_server_stops_the_start_without_showing_its_password(url: str) -> None:
    with pytest.raises(ValidationError) as raised:
        settings(smtp_url=url, smtp_from="tocsin@halyard.example")
    line = describe(raised.value, Settings)
    assert line.startswith("SMTP_URL: not of the form smtp://user:password@host:587 ")
    assert "c4nary" not in line


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ({"smtp_url": "smtp://mail.example.com"}, "SMTP_FROM is not set"),
        ({"smtp_from": "nobody"}, "not an e-mail address"),
        ({"webhook_allowed_networks": "127.0.0.0/8"}, "never reached"),
        ({"webhook_allowed_networks": "10.0.0.0/8,169.254.0.0/16"}, "never reached"),
        ({"webhook_allowed_networks": "10.0.0.1/8"}, "has host bits set"),
        ({"ca_bundle": "nowhere.pem"}, "there is no file nowhere.pem"),
        ({"public_url": "tocsin.example"}, "not a URL"),
    ],
)
def test_a_wrong_setting_stops_the_start_and_says_what_is_allowed(wrong: dict[str, str], hint: str) -> None:
    with pytest.raises(ValidationError, match=hint):
        settings(**wrong)


def test_the_mail_servers_user_is_the_sender_unless_told_otherwise() -> None:
    url = "smtp://robot%40halyard.example:p@mail.example.com"
    assert settings(smtp_url=url).sender() == "robot@halyard.example"
    assert settings(smtp_url=url, smtp_from="tocsin@halyard.example").sender() == "tocsin@halyard.example"


def settings(**given: str) -> Settings:
    """Return settings with a database."""
    return Settings.model_validate({"database_url": "postgresql://localhost/tocsin", **given})
