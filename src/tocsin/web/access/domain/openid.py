"""Log-in by an OpenID provider: its secrets, what the provider states about a person, and the role that follows."""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from tocsin.contracts.accounts import Role
from tocsin.contracts.contact_types import Email
from tocsin.contracts.model import without_nul
from tocsin.kernel.errors import ForbiddenError, UpstreamError
from tocsin.web.access.domain.base64url import as_base64url
from tocsin.web.access.domain.bearer_secrets import digest_of_given, new_secret

FLOW_SECONDS: Final = 600
"""How long a log-in may take at the provider."""
MAX_NAME: Final = 100
NO_ACCOUNT: Final = "No account can be used with this log-in. Ask an admin to add one."
NO_ROLE: Final = "None of your groups gives access to Tocsin. Ask an admin which one you need."
NOT_CONFIRMED: Final = "The provider does not confirm an e-mail address of yours, by which an account could be found."
NOT_BEGUN: Final = (
    "This log-in was not begun in this browser, or was used already, or took more than ten minutes. Try again."
)
CANCELLED: Final = "The log-in was cancelled. Try again, or use a password."
_EMAIL: Final[TypeAdapter[str]] = TypeAdapter(Email)


class LogInRefusedError(ForbiddenError):
    """The log-in by the provider cannot go on; the message says why."""

    code = "log-in-refused"


class ProviderError(UpstreamError):
    """The provider is unavailable, or what it sent cannot be used."""

    code = "provider-unavailable"


@dataclass(frozen=True, slots=True)
class Flow:
    """A log-in on its way to the provider and back.

    *browser* is known to the browser only, *state* also to the provider, and everything else is derived from the two:
    with one of them alone, nobody can begin or complete a log-in in somebody else's browser.
    """

    browser: str = field(repr=False)
    state: str = field(repr=False)

    @property
    def nonce(self) -> str:
        """The value that the ID token has to repeat."""
        return self._derive(b"nonce")

    @property
    def verifier(self) -> str:
        """The secret by which the code is redeemed (PKCE, RFC 7636)."""
        return self._derive(b"verifier")

    @property
    def challenge(self) -> str:
        """The hash of the verifier, which the provider gets first."""
        return as_base64url(sha256(self.verifier.encode()).digest())

    def _derive(self, purpose: bytes) -> str:
        return as_base64url(hmac.digest(self.browser.encode(), purpose + b" " + self.state.encode(), "sha256"))


def new_flow(browser: str) -> Flow:
    """Return a new flow of the browser with the secret *browser*, or with a new secret if that is not one of ours."""
    return Flow(browser if digest_of_given(browser) else new_secret(), new_secret())


@dataclass(frozen=True, slots=True)
class ExternalIdentity:
    """A person, as the provider has proved them."""

    issuer: str
    subject: str
    email: str | None
    """Only if the provider confirms that it is theirs."""
    name: str
    """Empty if the provider states none."""
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class ProviderLink:
    """The link of an account to a person of a provider."""

    issuer: str
    created_at: datetime


def identity_in(claims: Mapping[str, Any], *, groups_claim: str) -> ExternalIdentity:
    """Return the person whom valid *claims* are about."""
    groups = claims.get(groups_claim)
    name = claims.get("name")
    return ExternalIdentity(
        issuer=claims["iss"],
        subject=claims["sub"],
        email=_email(claims.get("email")) if claims.get("email_verified") is True else None,
        name=" ".join(without_nul(name).split())[:MAX_NAME] if isinstance(name, str) and name.isprintable() else "",
        groups=frozenset(each for each in _as_list(groups) if isinstance(each, str)),
    )


def strongest_role(groups: Iterable[str], roles: Mapping[str, Role]) -> Role | None:
    """Return the role of *groups* that allows most; None if no group has one."""
    return max((roles[each] for each in groups if each in roles), key=list(Role).index, default=None)


def has_domain(email: str, domains: Iterable[str]) -> bool:
    """Return whether an e-mail address is of exactly one of *domains*, whatever the case of its letters."""
    return email.rpartition("@")[2].lower() in {domain.lower() for domain in domains}


def _email(given: Any) -> str | None:
    try:
        return _EMAIL.validate_python(given, strict=True)
    except ValidationError:
        return None


def _as_list(groups: Any) -> list[Any]:
    return groups if isinstance(groups, list) else [groups]
