"""Secrets of 256 random bits, which are stored as hashes: whoever reads the database cannot use them."""

import hashlib
import re
import secrets
from typing import Final

from tocsin.contracts.accounts import AccountKind

BITS: Final = 256
PREFIX_OF: Final = {AccountKind.PERSON: "tocsin_pat_", AccountKind.SERVICE: "tocsin_sat_"}
"""By which scanners for secrets recognise a token."""
SECRET: Final = re.compile(r"(?:tocsin_[ps]at_)?[A-Za-z0-9_-]{43}")
SHOWN: Final = 6
"""How many characters of a token after its prefix are shown, to recognise it by."""


def new_secret(prefix: str = "") -> str:
    """Return a new random secret."""
    return prefix + secrets.token_urlsafe(BITS // 8)


def digest_of(secret: str) -> bytes | None:
    """Return the hash under which *secret* is stored; None for a text that `new_secret` does not return.

    A fast hash is enough, because a secret has too many bits to be guessed.
    """
    return hashlib.sha256(secret.encode()).digest() if SECRET.fullmatch(secret) else None


def shown_prefix(token: str) -> str:
    """Return the beginning of a token, by which its owner recognises it."""
    return token[: len(PREFIX_OF[AccountKind.PERSON]) + SHOWN]
