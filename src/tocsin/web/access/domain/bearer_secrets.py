"""The secrets of sessions, tokens and links: 256 random bits as text, stored as their SHA-256.

A hash made for passwords would add nothing: nobody can try 2^256 secrets. The database finds the hash by its index, and
so no secret is compared in this process.
"""

import hashlib
import re
import secrets
from typing import Final

PERSONAL_TOKEN: Final = "tocsin_pat_"  # noqa: S105 - what such a token begins with
SERVICE_TOKEN: Final = "tocsin_sat_"  # noqa: S105 - what such a token begins with
TOKENS: Final = (PERSONAL_TOKEN, SERVICE_TOKEN)
"""Prefixes, by which scanners of source code find a token that was committed."""
PLAIN: Final = ("",)
"""Links have no prefix."""
PROXY_SESSION: Final = "proxy."
"""The prefix of sessions that are valid only while a trusted proxy states their account. It is part of what is hashed:
without it, the secret is not valid."""
SESSIONS: Final = ("", PROXY_SESSION)
"""The prefixes of sessions; most have none."""
BYTES: Final = 32
SHOWN: Final = 5
"""How many characters after the prefix are kept in clear, to recognise a token by."""
_RANDOM_PART: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def new_secret(prefix: str = "") -> str:
    """Return a new secret."""
    return prefix + secrets.token_urlsafe(BYTES)


def digest(secret: str) -> bytes:
    """Return the hash by which a secret is stored."""
    return hashlib.sha256(secret.encode()).digest()


def digest_of_given(secret: str, prefixes: tuple[str, ...] = PLAIN) -> bytes | None:
    """Return the hash of a secret that a client sent; None if it is not one of ours, however long it is."""
    for prefix in prefixes:
        if secret.startswith(prefix) and _RANDOM_PART.fullmatch(secret, len(prefix)):
            return digest(secret)
    return None


def shown_part(token: str) -> str:
    """Return the first characters of a token."""
    return token[: len(PERSONAL_TOKEN) + SHOWN]
