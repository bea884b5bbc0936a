"""Properties of what is pure: when to retry, when to give up; and what a wrong setting says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tocsin.channels.message import Outcome
from tocsin.contracts.notifications import AttemptOutcome, NotificationStatus
from tocsin.kernel.settings import describe
from tocsin.notifications.domain.decision import MAX_RETRY_AFTER_SECONDS, Limits, decide
from tocsin.notifications.settings import Settings

LIMITS = Limits(tries=20, seconds=300.0)
SECONDS = st.floats(0, 1_000)


@given(
    requested=st.floats(0, 1e9),
    tries=st.integers(1, 40),
    waited=SECONDS,
    pause=st.floats(0.01, 30),
)
def test_temporary_failures_are_retried_until_attempts_or_time_run_out(
    requested: float, tries: int, waited: float, pause: float
) -> None:
    outcome = Outcome.retry("busy", 503, requested)
    decision = decide(outcome, tries=tries, waited_seconds=waited, pause=pause, limits=LIMITS)
    if decision.status is NotificationStatus.QUEUED:
        assert tries < LIMITS.tries
        assert decision.delay is not None
        assert pause <= decision.delay <= max(pause, MAX_RETRY_AFTER_SECONDS)
        assert decision.delay >= min(requested, MAX_RETRY_AFTER_SECONDS)
        assert waited + decision.delay <= LIMITS.seconds
    else:
        assert decision.status is NotificationStatus.FAILED
        assert tries >= LIMITS.tries or waited + max(pause, min(requested, MAX_RETRY_AFTER_SECONDS)) > LIMITS.seconds


@given(st.sampled_from([AttemptOutcome.SENT, AttemptOutcome.FAILED]), st.integers(1, 40), SECONDS)
def test_a_success_or_a_permanent_failure_ends_a_message(kind: AttemptOutcome, tries: int, waited: float) -> None:
    decision = decide(Outcome(kind, "so be it"), tries=tries, waited_seconds=waited, pause=1, limits=LIMITS)
    assert decision.status == ("sent" if kind is AttemptOutcome.SENT else "failed")
    assert decision.delay is None


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
def test_an_invalid_mail_server_stops_the_start_without_showing_its_password(url: str) -> None:
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
        ({"webhook_allowed_networks": "127.0.0.0/8"}, "cannot be allowed"),
        ({"webhook_allowed_networks": "10.0.0.0/8,169.254.0.0/16"}, "cannot be allowed"),
        ({"webhook_allowed_networks": "10.0.0.1/8"}, "has host bits set"),
        ({"ca_bundle": "nowhere.pem"}, "the file nowhere.pem does not exist"),
        ({"public_url": "tocsin.example"}, "not a URL"),
    ],
)
def test_an_invalid_setting_stops_the_start_and_states_what_is_allowed(wrong: dict[str, str], hint: str) -> None:
    with pytest.raises(ValidationError, match=hint):
        settings(**wrong)


def settings(**given: str) -> Settings:
    """Return settings with a database."""
    return Settings.model_validate({"database_url": "postgresql://localhost/tocsin", **given})
