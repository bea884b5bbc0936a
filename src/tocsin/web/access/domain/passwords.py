"""Which passwords are good enough (NIST SP 800-63B, section 5.1.1)."""

import unicodedata
from collections.abc import Iterable
from typing import Final

from zxcvbn import zxcvbn

from tocsin.contracts.accounts import MAX_PASSWORD, MIN_PASSWORD

ESTIMATED: Final = 72
"""Characters of a password that are estimated: the time of an estimate grows with the square of the length."""
GOOD: Final = 3
"""zxcvbn's score from which a password withstands guessing at the log-in, which is throttled, and of its slow hash."""


def normalised(password: str) -> str:
    """Return *password* in one Unicode form: keyboards differ in how they compose the same character."""
    return unicodedata.normalize("NFKC", password)


def weakness(password: str, known: Iterable[str]) -> str | None:
    """Return why *password* cannot be chosen, with what to do; None if it can. It takes some milliseconds.

    *known* is what others know of the person: a password must not consist of it.
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        return f"A password has {MIN_PASSWORD} to {MAX_PASSWORD:,} characters."
    words = [word for text in ("tocsin", *known) for word in (text, *text.replace("@", " ").split())]
    estimate = zxcvbn(password[:ESTIMATED], user_inputs=words)
    if estimate["score"] >= GOOD:
        return None
    reason = str(estimate["feedback"]["warning"] or "It can be guessed.").rstrip(".")
    return f"{reason}. Choose another one: four random words are good."
