"""Where messages go: what such an address looks like, whether anybody is there or not."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, StringConstraints

from tocsin.contracts.model import Text


def mail_address(text: str) -> str:
    """Refuse what no mail server would take, and what would end a header line."""
    if not text.isprintable() or not re.fullmatch(r"[^@\s<>\"(),:;\\\[\]]+@[^@\s<>\"(),:;\\\[\]]+", text):
        msg = "not an e-mail address"
        raise ValueError(msg)
    return text


def webhook_url(text: str) -> str:
    """Refuse what is not an absolute http or https URL. Whether its host may be reached is decided when it is."""
    msg = "the address of a webhook is an http or https URL"
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError as exc:  # an unclosed bracket, a port over 65535
        raise ValueError(msg) from exc
    if not usable or not text.isprintable() or " " in text:
        raise ValueError(msg)
    return text


Email = Annotated[str, StringConstraints(strip_whitespace=True, max_length=254), AfterValidator(mail_address)]
Address = Annotated[
    Text, StringConstraints(strip_whitespace=True, min_length=1, max_length=2048, pattern=r"^[^\r\n]+$")
]
