"""E-mail, by real conversations with a mail server."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.fakes.mail import MailServer, open_mail_server
from tests.notifications.conftest import Start
from tests.support.notifications.api import INCIDENT, message, page

PRIYA = "priya@halyard.example"
SENDER = "tocsin@halyard.example"
LOGIN = "tocsin:s3cret%2Fword@"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
async def mail() -> AsyncIterator[MailServer]:
    async with open_mail_server() as opened:
        yield opened


def plain(mail: MailServer) -> dict[str, Any]:
    """Return settings for a server without encryption."""
    return {"smtp_url": f"smtp://127.0.0.1:{mail.port}", "smtp_from": SENDER}


async def test_a_page_by_e_mail_states_the_incident_and_why_the_person_is_paged(start: Start, mail: MailServer) -> None:
    service = await start(**plain(mail), public_url="https://tocsin.halyard.example")
    order = page(PRIYA, channel="email", message="5xx above 2 % <b>now</b>\nfor 10 min")
    found = await service.ended(await service.notify(order))

    assert found["status"] == "sent"
    assert [(item["code"], item["answer"]) for item in found["attempts"]] == [(250, "OK: queued as A1B2C3")]
    (received,) = mail.received
    assert (received.sender, received.recipients) == (SENDER, [PRIYA])
    sent = received.message
    assert sent["From"] == f"Tocsin <{SENDER}>"
    assert sent["To"] == PRIYA
    assert sent["Subject"] == "#2481 critical: Payments fail"
    assert sent["Auto-Submitted"] == "auto-generated"
    assert sent["Message-ID"] == f"<{order['notification_id']}@halyard.example>"
    text, html = (sent.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    link = f"https://tocsin.halyard.example/incidents/{order['incident_id']}"
    for part in (text.get_content(), html.get_content()):
        assert part.count("Payments fail") == 1
        assert "2026-11-21 10:00 UTC" in part
        assert "primary of Payments this week" in part
        assert link in part
    assert "5xx above 2 % <b>now</b>\nfor 10 min" in text.get_content().replace("\r\n", "\n")
    assert "5xx above 2 % &lt;b&gt;now&lt;/b&gt;" in html.get_content()


async def test_a_text_that_contains_the_title_is_not_preceded_by_it(start: Start, mail: MailServer) -> None:
    service = await start(**plain(mail))
    text = "#2481 Payments fail: critical in checkout. Paged: primary of Payments."
    await service.ended(await service.notify(page(PRIYA, channel="email", message=text)))
    for kind in ("plain", "html"):
        part = mail.received[0].message.get_body((kind,))
        assert part is not None
        assert part.get_content().count("Payments fail") == 1


async def test_the_mail_of_an_incident_is_one_thread(start: Start, mail: MailServer) -> None:
    service = await start(**plain(mail))
    first = page(PRIYA, channel="email")
    second = page(PRIYA, channel="email", incident_id=first["incident_id"])
    other = page(PRIYA, channel="email")
    for order in (first, second, other):
        await service.ended(await service.notify(order))
    threads = [received.message["References"] for received in mail.received]
    assert threads[0] == threads[1] != threads[2]
    assert [received.message["In-Reply-To"] for received in mail.received] == threads
    assert len({received.message["Message-ID"] for received in mail.received}) == 3


async def test_a_plain_message_has_its_text_as_subject(start: Start, mail: MailServer) -> None:
    service = await start(**plain(mail))
    text = "Grüße aus der Nacht\r\nBcc: everybody@example.com\r\n\r\n.\r\nQUIT"
    await service.ended(await service.notify(message(PRIYA, channel="email", message=text)))
    (received,) = mail.received
    sent = received.message
    assert sent["Subject"] == "Grüße aus der Nacht Bcc: everybody@example.com . QUIT"
    assert sent["Bcc"] is None
    assert received.recipients == [PRIYA]
    body = sent.get_body(("plain",))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n").startswith(text.replace("\r\n", "\n"))


async def test_a_title_cannot_add_a_header(start: Start, mail: MailServer) -> None:
    service = await start(**plain(mail))
    order = page(PRIYA, channel="email")
    order["page"]["incident"] = {**INCIDENT, "title": "x\r\nBcc: everybody@example.com\u2028\x1b[31m" + "y" * 5_000}
    await service.ended(await service.notify(order))
    sent = mail.received[0].message
    assert sent["Bcc"] is None
    assert sent["Subject"].startswith("#2481 critical: x Bcc: everybody@example.com [31myyy")
    assert len(sent["Subject"]) == 200


@pytest.mark.parametrize("option", ["", "?starttls=auto", "?starttls=required"])
async def test_the_connection_is_encrypted_if_the_server_offers_starttls(
    start: Start, tls: ssl.SSLContext, bundle: Path, option: str
) -> None:
    async with open_mail_server(starttls=tls, log_in=True) as mail:
        service = await start(
            smtp_url=f"smtp://{LOGIN}127.0.0.1:{mail.port}{option}", smtp_from=SENDER, ca_bundle=bundle
        )
        found = await service.ended(await service.notify(page(PRIYA, channel="email")))
    assert found["status"] == "sent", found
    assert [(received.encrypted, received.user) for received in mail.received] == [(True, "tocsin")]


async def test_the_connection_can_be_encrypted_from_its_first_byte(
    start: Start, tls: ssl.SSLContext, bundle: Path
) -> None:
    async with open_mail_server(implicit=tls, log_in=True) as mail:
        service = await start(smtp_url=f"smtps://{LOGIN}127.0.0.1:{mail.port}", smtp_from=SENDER, ca_bundle=bundle)
        found = await service.ended(await service.notify(page(PRIYA, channel="email")))
    assert found["status"] == "sent", found
    assert [(received.encrypted, received.user) for received in mail.received] == [(True, "tocsin")]


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_nothing_is_sent_to_a_server_with_an_invalid_certificate(
    start: Start, tls: ssl.SSLContext, scheme: str
) -> None:
    implicit, starttls = (tls, None) if scheme == "smtps" else (None, tls)
    async with open_mail_server(implicit=implicit, starttls=starttls) as mail:
        service = await start(smtp_url=f"{scheme}://127.0.0.1:{mail.port}", smtp_from=SENDER)
        found = await service.ended(await service.notify(page(PRIYA, channel="email")))
    assert found["status"] == "failed"
    assert found["reason"].startswith("the certificate is refused: ")
    assert mail.received == []


@pytest.mark.parametrize("form", [LOGIN + "127.0.0.1:{}", "127.0.0.1:{}?starttls=required"])
async def test_neither_password_nor_mail_is_sent_unencrypted_by_default(
    start: Start, mail: MailServer, form: str
) -> None:
    service = await start(smtp_url="smtp://" + form.format(mail.port), smtp_from=SENDER)
    found = await service.ended(await service.notify(page(PRIYA, channel="email")))
    assert found["status"] == "failed"
    assert "does not support STARTTLS" in found["reason"]
    assert mail.received == []


async def test_a_password_is_sent_unencrypted_if_that_is_configured(start: Start) -> None:
    async with open_mail_server(log_in=True) as mail:
        service = await start(smtp_url=f"smtp://{LOGIN}127.0.0.1:{mail.port}?starttls=off", smtp_from=SENDER)
        found = await service.ended(await service.notify(page(PRIYA, channel="email")))
    assert found["status"] == "sent", found
    assert [(received.encrypted, received.user) for received in mail.received] == [(False, "tocsin")]


async def test_a_wrong_password_is_final_and_never_shown(
    start: Start, tls: ssl.SSLContext, bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with open_mail_server(starttls=tls, log_in=True) as mail:
        service = await start(
            smtp_url=f"smtp://tocsin:c4nary@127.0.0.1:{mail.port}", smtp_from=SENDER, ca_bundle=bundle
        )
        found = await service.ended(await service.notify(page(PRIYA, channel="email")))
    assert found["status"] == "failed"
    assert found["attempts"][0]["code"] == 535
    printed = capfd.readouterr()
    assert "c4nary" not in f"{found}{printed.out}{printed.err}"


@pytest.mark.parametrize("step", ["rcpt", "data"])
async def test_a_temporary_refusal_by_the_server_is_retried(start: Start, mail: MailServer, step: str) -> None:
    service = await start(**plain(mail))
    getattr(mail, step).append("451 greylisted, come back")
    order = page(PRIYA, channel="email")
    found = await service.ended(await service.notify(order))
    assert found["status"] == "sent"
    assert [(item["outcome"], item["code"]) for item in found["attempts"]] == [("retry", 451), ("sent", 250)]
    assert found["attempts"][0]["answer"] == "SMTP 451: greylisted, come back"
    assert len(mail.received) == 1


@pytest.mark.parametrize("step", ["rcpt", "data"])
async def test_a_permanent_refusal_by_the_server_is_final(start: Start, mail: MailServer, step: str) -> None:
    service = await start(**plain(mail))
    getattr(mail, step).append("550 no such mailbox")
    found = await service.ended(await service.notify(page(PRIYA, channel="email")))
    assert (found["status"], found["reason"]) == ("failed", "SMTP 550: no such mailbox")
    assert mail.received == []


@pytest.mark.slow
async def test_a_silent_server_is_retried(start: Start, mail: MailServer) -> None:
    service = await start(**plain(mail), send_timeout_seconds=1.0)
    mail.silent = True
    notification = await service.notify(page(PRIYA, channel="email"))
    first = await service.tried(notification)
    mail.silent = False
    assert first["attempts"][0]["answer"] == "no response in time"
    assert (await service.ended(notification))["status"] == "sent"
    assert len(mail.received) == 1


async def test_an_unreachable_server_is_retried_until_the_limit(start: Start) -> None:
    async with open_mail_server() as gone:
        settings = plain(gone)
    service = await start(**settings, give_up_tries=2)
    found = await service.ended(await service.notify(page(PRIYA, channel="email")))
    assert found["status"] == "failed"
    assert [item["outcome"] for item in found["attempts"]] == ["retry", "retry"]


@pytest.mark.slow
async def test_an_error_after_the_server_accepted_the_mail_does_not_send_it_again(
    start: Start, mail: MailServer
) -> None:
    service = await start(**plain(mail))
    mail.hangs_up = True
    found = await service.ended(await service.notify(page(PRIYA, channel="email")))
    assert found["status"] == "sent"
    assert len(mail.received) == len(found["attempts"]) == 1


async def test_without_a_mail_server_a_message_fails_and_names_the_variable_to_set(start: Start) -> None:
    service = await start()
    found = await service.ended(await service.notify(page(PRIYA, channel="email")))
    assert found["status"] == "failed"
    assert "set SMTP_URL" in found["reason"]


async def test_an_address_that_the_server_does_not_support_is_final(start: Start, mail: MailServer) -> None:
    service = await start(**plain(mail))
    found = await service.ended(await service.notify(page("priya@hälyard.example", channel="email")))
    assert found["status"] == "failed"
    assert "SMTPUTF8" in found["reason"]
    assert len(found["attempts"]) == 1
