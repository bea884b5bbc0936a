"""The name of a channel and an address on it.

Both are bounded strings. `tocsin.channels` defines the channels and the format of their addresses; a service that
accepts a contact checks it there.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints
from typing_extensions import TypeAliasType

from tocsin.contracts.model import Text


def mail_address(text: str) -> str:
    """Return *text* if it can be an e-mail address and cannot break a header. Raise ValueError otherwise."""
    if not text.isprintable() or not re.fullmatch(r"[^@\s<>\"(),:;\\\[\]]+@[^@\s<>\"(),:;\\\[\]]+", text):
        msg = "not an e-mail address"
        raise ValueError(msg)
    return text


Email = Annotated[str, StringConstraints(strip_whitespace=True, max_length=254), AfterValidator(mail_address)]
Address = Annotated[
    Text, StringConstraints(strip_whitespace=True, min_length=1, max_length=2048, pattern=r"^[^\r\n]+$")
]
ChannelName = TypeAliasType("ChannelName", Annotated[Text, StringConstraints(max_length=64)])
"""The name of a channel, such as `email`."""
