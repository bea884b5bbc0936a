"""What an OpenID provider states about a person, the role that follows, and the secrets of a log-in."""

import base64
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.contracts.accounts import Role
from tocsin.kernel.loopback import secure_url
from tocsin.web.access.domain.openid import has_domain, identity_in, new_flow, strongest_role
from tocsin.web.settings import roles_of_groups

BASE: dict[str, Any] = {"iss": "https://id.example", "sub": "ada"}


@pytest.mark.parametrize(
    ("claims", "email"),
    [
        ({"email": "ada@example.org", "email_verified": True}, "ada@example.org"),
        ({"email": "ada@example.org"}, None),
        ({"email": "ada@example.org", "email_verified": False}, None),
        ({"email": "ada@example.org", "email_verified": "true"}, None),
        ({"email": "ada@example.org", "email_verified": 1}, None),
        ({"email": "ada", "email_verified": True}, None),
        ({"email": "a@b@example.org", "email_verified": True}, None),
        ({"email": ["ada@example.org"], "email_verified": True}, None),
        ({"email_verified": True}, None),
    ],
)
def test_only_an_address_that_the_provider_confirms_counts(claims: dict[str, Any], email: str | None) -> None:
    assert identity_in(BASE | claims, groups_claim="groups").email == email


@pytest.mark.parametrize(
    ("given_name", "name"),
    [("Ada  Lovelace ", "Ada Lovelace"), ("A" * 300, "A" * 100), ("a\nb", ""), ("a\u202eb", ""), (7, ""), (None, "")],
)
def test_a_name_is_one_line_without_control_characters(given_name: Any, name: str) -> None:
    assert identity_in(BASE | {"name": given_name}, groups_claim="groups").name == name


def test_groups_are_a_list_or_one_name_and_anything_else_is_none() -> None:
    for groups, expected in ((["a", 7, None, ["b"]], {"a"}), ("a", {"a"}), (None, set()), ({"a": 1}, set())):
        assert identity_in(BASE | {"roles": groups}, groups_claim="roles").groups == expected


@given(st.lists(st.sampled_from(["sre", "platform", "everybody", "other"])))
def test_the_role_that_allows_most_counts(groups: list[str]) -> None:
    roles = roles_of_groups("sre=responder, platform = admin,everybody=viewer")
    order = [role for role in ("platform", "sre", "everybody") if role in groups]
    assert strongest_role(groups, roles) == (roles[order[0]] if order else None)


@pytest.mark.parametrize("text", ["sre", "sre=", "=admin", "sre=boss", "robots=sender", "a=admin,", "a=ADMIN"])
def test_a_map_that_gives_no_role_of_a_person_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"admin, responder, viewer"):
        roles_of_groups(text)


def test_a_name_of_a_group_can_contain_what_directories_use() -> None:
    assert roles_of_groups("/on call/ä=admin,a=b=viewer") == {"/on call/ä": Role.ADMIN, "a=b": Role.VIEWER}


def test_a_domain_is_that_after_the_at_and_no_other() -> None:
    assert has_domain("ada@Example.ORG", ["example.com", "example.org"])
    for email in ("ada@example.org.evil.example", "ada@sub.example.org", "ada@notexample.org", "example.org@x"):
        assert not has_domain(email, ["example.org"])
    assert not has_domain("ada@example.org", [])


def test_everything_of_a_flow_follows_from_two_secrets_and_each_flow_has_others() -> None:
    first = new_flow("")
    second = new_flow(first.browser)
    assert second.browser == first.browser, "two tabs of a browser have one cookie"
    assert new_flow("chosen by somebody").browser != "chosen by somebody"
    secrets = {first.state, first.nonce, first.verifier, second.state, second.nonce, second.verifier, first.browser}
    assert len(secrets) == 7
    assert all(len(secret) == 43 for secret in secrets)
    hashed = base64.urlsafe_b64encode(sha256(first.verifier.encode()).digest()).rstrip(b"=").decode()
    assert first.challenge == hashed  # RFC 7636, section 4.2
    assert first.state not in repr(first)
    assert first.browser not in repr(first)


@pytest.mark.parametrize(
    "url", ["https://id.example/a?b=c", "http://localhost:1/", "http://127.0.0.1/", "http://[::1]:8080/x"]
)
def test_a_url_that_nobody_on_the_way_can_read_is_kept_as_it_is(url: str) -> None:
    assert secure_url(url) == url


@pytest.mark.parametrize(
    "url",
    ["http://id.example", "http://127.0.0.1.evil.example", "ftp://localhost", "https://", "https://u:p@id.example",
     "https://id.example/#x", "javascript:alert(1)", "https://id.example/\r\nX: y"],
)  # fmt: skip
def test_any_other_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        secure_url(url)
