"""Which passwords are accepted (NIST SP 800-63B: length, and no guessable ones; no rules of composition)."""

import unicodedata
from collections.abc import Sequence
from typing import Final

from zxcvbn import zxcvbn

from tocsin.contracts.accounts import MAX_PASSWORD, MIN_PASSWORD

MIN_SCORE: Final = 3
"""More than 10^8 guesses; of zxcvbn's scores from 0 to 4."""
SURE_SCORE: Final = 4
"""More than 10^10 guesses."""
BEGINNINGS: Final = (16, 24)
MAX_CHECKED: Final = 72
"""zxcvbn takes seconds for 72 random characters, of which the first 16 suffice; for guessable ones, hundredths."""
SHORT: Final = 4
"""A name of fewer characters makes little difference where a beginning cuts it."""
OUR_NAME: Final = "tocsin"


def normalized(password: str) -> str:
    """Return *password* as it is hashed, whatever the keyboard and operating system (RFC 8265, section 4.2.2)."""
    spaced = "".join(" " if unicodedata.category(letter) == "Zs" else letter for letter in password)
    return unicodedata.normalize("NFC", spaced)


def as_bytes(password: str) -> bytes | None:
    """Return what is hashed of *password*; None if it is longer than any password."""
    if len(password) > MAX_PASSWORD:
        return None
    # A form may contain lone surrogates, which UTF-8 does not have.
    return normalized(password).encode(errors="surrogatepass")


def refusal_of(password: str, about: Sequence[str]) -> str | None:
    """Return why a new password is refused, or None. *about* are words that make it guessable: the person's own.

    This takes hundredths of a second, and seconds for a password that is made to be slow. It is to be called in one
    thread only, because zxcvbn keeps *about* in a global.
    """
    if len(password) > MAX_PASSWORD:
        return f"The password is too long: use at most {MAX_PASSWORD:,} characters."
    normal = normalized(password)
    if len(normal) < MIN_PASSWORD:
        return f"The password is too short: use at least {MIN_PASSWORD} characters."
    words = _words(about)
    own = any(len(text) >= SHORT and text.lower() in normal.lower() for text in about)
    for length in () if own else BEGINNINGS:  # the beginning of one's own address is not recognised
        if zxcvbn(normal[:length], user_inputs=words)["score"] >= SURE_SCORE:
            return None
    result = zxcvbn(normal[:MAX_CHECKED], user_inputs=words)
    if result["score"] >= MIN_SCORE:
        return None
    reasons = [result["feedback"]["warning"], *result["feedback"]["suggestions"]]
    return " ".join(["The password is too easy to guess.", *filter(None, reasons)])


def _words(about: Sequence[str]) -> list[str]:
    """Return the words of *about*: as they are, in parts and without anything between the parts."""
    parts = [text.replace("@", " ").replace(".", " ").split() for text in about]
    return [*about, *(word for words in parts for word in (*words, "".join(words))), OUR_NAME]
