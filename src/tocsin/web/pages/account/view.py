"""What the page of an account shows."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tocsin.contracts.accounts import Account, CreatedToken, Passkey, Session, Token
from tocsin.kernel.principal import Scope
from tocsin.web.access.domain.openid import ProviderLink
from tocsin.web.ui.roles import ROLE_LABELS

SCOPES: Final = {
    "read": [Scope.READ.value],
    "respond": [Scope.READ.value, Scope.RESPOND.value],
    "send": [Scope.SEND.value],
}
"""The scopes of the choices of a form; any other choice is everything that the account may."""
SCOPE_LABELS: Final = {
    "read": "read",
    "respond": "read and handle incidents",
    "send": "send alerts",
    "all": "everything that I may",
}
EXPIRIES: Final = {"30": 30, "90": 90, "365": 365}
EXPIRY_LABELS: Final = {"90": "in 90 days", "30": "in 30 days", "365": "in a year", "": "never"}
BROWSERS: Final = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
"""The marks of `User-Agent`, and names; an earlier one decides, as most browsers claim to be Safari, too."""
SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
MOBILE: Final = re.compile("Android|iPhone|iPad|Mobile")


@dataclass(frozen=True, slots=True)
class AccountData:
    """An account with its log-ins, its newest tokens and its passkeys, and the providers that it is linked to."""

    account: Account
    sessions: Sequence[Session]
    tokens: Sequence[Token]
    links: Sequence[ProviderLink]
    passkeys: Sequence[Passkey]
    passkey_origin: str | None
    """The only origin whose pages can add passkeys."""
    no_passkeys: str | None
    """Why there can be no passkeys."""


@dataclass(frozen=True, slots=True)
class LinkRow:
    """One provider that the account is linked to."""

    link: ProviderLink
    name: str


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One log-in."""

    session: Session
    device: str
    icon: str


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One token."""

    token: Token
    may: str


@dataclass(frozen=True, slots=True)
class AccountView:
    """The page of an account."""

    heading: str
    about: str
    account: Account
    sessions: Sequence[SessionRow]
    others: int
    tokens: Sequence[TokenRow]
    links: Sequence[LinkRow]
    created: CreatedToken | None
    passkeys: Sequence[Passkey]
    passkey_origin: str | None
    no_passkeys: str | None
    scope_labels: dict[str, str]
    expiry_labels: dict[str, str]


def account_view(data: AccountData, *, created: CreatedToken | None, provider_names: Mapping[str, str]) -> AccountView:
    """Return what the page shows; *created* is a token that was created just now, *provider_names* those of issuers."""
    number = len(data.sessions)
    tokens = len(data.tokens)
    heading = "You are logged in on one device" if number == 1 else f"You are logged in on {number} devices"
    about = f"{ROLE_LABELS[data.account.role]}. {tokens or 'No'} token{'' if tokens == 1 else 's'}."
    return AccountView(
        heading=heading,
        about=about,
        account=data.account,
        sessions=[
            SessionRow(each, device_of(each.user_agent), "phone" if MOBILE.search(each.user_agent) else "laptop")
            for each in data.sessions
        ],
        others=sum(not each.current for each in data.sessions),
        tokens=[TokenRow(each, may(each.scopes)) for each in data.tokens],
        links=[LinkRow(each, provider_names.get(each.issuer, each.issuer)) for each in data.links],
        created=created,
        passkeys=data.passkeys,
        passkey_origin=data.passkey_origin,
        no_passkeys=data.no_passkeys,
        scope_labels=SCOPE_LABELS,
        expiry_labels=EXPIRY_LABELS,
    )


def device_of(user_agent: str) -> str:
    """Return a short name for a browser, such as `Firefox on Linux`."""
    browser = next((name for mark, name in BROWSERS if mark in user_agent), "Another client")
    system = next((f" on {name}" for mark, name in SYSTEMS if mark in user_agent), "")
    return browser + system


def may(scopes: Sequence[str] | None) -> str:
    """Return what a token may do, in words."""
    if scopes is None:
        return SCOPE_LABELS["all"].replace(" I ", " the account ")
    names = (SCOPE_LABELS[name] for name, known in SCOPES.items() if sorted(known) == sorted(scopes))
    return next(names, ", ".join(scopes))
