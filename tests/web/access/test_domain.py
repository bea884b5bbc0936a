"""The rules of accounts: roles and scopes, secrets, passwords, what clients say of themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.contracts.accounts import MAX_PASSWORD, MIN_PASSWORD, Role
from tocsin.kernel.client_network import network_of
from tocsin.kernel.principal import Scope
from tocsin.kernel.storable_text import MAX_TEXT, storable
from tocsin.web.access.domain import bearer_secrets
from tocsin.web.access.domain.bearer_secrets import PLAIN, TOKENS, digest_of_given, new_secret, shown_part
from tocsin.web.access.domain.identity import EVERYONE, SCOPES, beyond, token_scopes
from tocsin.web.access.domain.passwords import as_bytes, normalized, refusal_of

TEXTS = st.text(st.characters(codec=None), max_size=200)
"""Any text, with NUL and lone surrogates."""


def test_each_role_has_its_scopes_and_none_has_that_of_our_services() -> None:
    assert set(SCOPES) == set(Role)
    own = {role: {scope.value for scope in scopes - EVERYONE} for role, scopes in SCOPES.items()}
    assert own == {
        Role.SENDER: {"send"},
        Role.VIEWER: {"read"},
        Role.RESPONDER: {"send", "read", "respond", "manage"},
        Role.ADMIN: {"metrics", "send", "read", "respond", "manage", "admin"},
    }


@given(st.sampled_from(Role), st.none() | st.lists(st.sampled_from([*Scope, "of-a-later-release"])))
def test_a_token_has_at_most_the_scopes_of_its_accounts_role(role: Role, scopes: list[str] | None) -> None:
    found = token_scopes(role, scopes)
    assert EVERYONE <= found <= SCOPES[role]
    assert scopes is None or found - EVERYONE <= set(scopes)


@given(st.sampled_from(Role), st.lists(st.sampled_from([*Scope, "of-a-later-release"])))
def test_the_scopes_that_are_not_refused_are_those_that_the_token_has(role: Role, scopes: list[str]) -> None:
    accepted = set(scopes) - set(beyond(role, scopes).values())
    assert accepted | EVERYONE == token_scopes(role, scopes)


@pytest.mark.parametrize("prefix", [*TOKENS, *PLAIN])
def test_a_secret_has_256_random_bits_and_is_recognised_by_its_prefix(prefix: str) -> None:
    one, other = new_secret(prefix), new_secret(prefix)
    assert one != other
    assert len(one) == len(prefix) + 43
    for prefixes in (TOKENS, PLAIN):
        assert (digest_of_given(one, prefixes) is not None) == (prefix in prefixes)


@given(TEXTS)
def test_what_is_no_secret_of_ours_is_refused_before_it_is_hashed(text: str) -> None:
    assert digest_of_given(text, (*TOKENS, *PLAIN)) is None
    secret = new_secret()
    if text:
        assert digest_of_given(secret + text) is None
        assert digest_of_given(text + secret) is None


def test_a_very_long_secret_is_not_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bearer_secrets, "hashlib", None)
    assert digest_of_given("a" * 10_000_000) is None
    assert digest_of_given(new_secret() + "\n") is None


def test_what_is_shown_of_a_token_leaves_most_of_its_bits_secret() -> None:
    token = new_secret(TOKENS[0])
    assert token.startswith(shown_part(token))
    assert len(token) - len(shown_part(token)) >= 38


@given(TEXTS)
def test_a_password_is_hashed_alike_however_its_letters_are_composed(text: str) -> None:
    assert normalized(normalized(text)) == normalized(text)
    assert as_bytes(text) is not None


def test_an_accent_may_be_typed_in_two_ways_and_a_space_in_several() -> None:
    assert as_bytes("cafe\N{COMBINING ACUTE ACCENT} noir") == as_bytes(
        "caf\N{LATIN SMALL LETTER E WITH ACUTE}\u00a0noir"
    )
    assert as_bytes("ﬁ") != as_bytes("fi"), "compatibility would make passwords equal that people see as different"


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("kelp-orbit", "at least 12"),
        ("é" * 6 + "e\N{COMBINING ACUTE ACCENT}" * 5, "at least 12"),
        ("a" * (MAX_PASSWORD + 1), "at most 1,000"),
        ("password1234", "very common password"),
        ("a" * MAX_PASSWORD, "easy to guess"),
        ("qwertyuiop12", "easy to guess"),
        ("ada.lovelace@example.org", "easy to guess"),
        ("AdaLovelace1815", "easy to guess"),
        ("tocsintocsin", "easy to guess"),
    ],
)
def test_a_guessable_password_is_refused_with_the_reason(password: str, reason: str) -> None:
    assert reason in (refusal_of(password, ["Ada Lovelace", "ada.lovelace@example.org"]) or "")


@pytest.mark.parametrize(
    "password",
    [
        "kelp-orbit-violet-17",
        "correct horse battery staple",
        "зелёный чай вчера",
        "\0" * 0 + "4@8({[<369!1|70$5+%2bb%|" * 40,
    ],
)
def test_a_password_that_is_hard_to_guess_is_accepted(password: str) -> None:
    assert refusal_of(password, ["Ada Lovelace", "ada.lovelace@example.org"]) is None


@given(st.text(st.characters(codec=None), min_size=MIN_PASSWORD, max_size=40), st.lists(TEXTS, max_size=2))
def test_any_text_can_be_checked(password: str, about: list[str]) -> None:
    refusal = refusal_of(password, about)
    assert refusal is None or "password" in refusal


@given(st.text(st.characters(codec=None), max_size=2_000))
def test_what_a_client_sends_can_be_stored(text: str) -> None:
    stored = storable(text)
    assert len(stored) <= MAX_TEXT
    assert "\0" not in stored
    stored.encode()


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("a socket", "a socket"),
    ],
)
def test_the_addresses_of_an_ipv6_network_count_as_one_client(address: str, network: str) -> None:
    assert network_of(address) == network
