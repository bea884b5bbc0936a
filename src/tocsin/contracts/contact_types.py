"""Where messages go: the name of a channel, and an address on it.

Names are bounded strings: which channels there are, and what their addresses look like, is in `tocsin.channels`, and a
service checks it where it accepts a contact.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints
from typing_extensions import TypeAliasType

from tocsin.contracts.model import Text


def mail_address(text: str) -> str:
    """Refuse what no mail server would accept, and what would end a header line."""
    if not text.isprintable() or not re.fullmatch(r"[^@\s<>\"(),:;\\\[\]]+@[^@\s<>\"(),:;\\\[\]]+", text):
        msg = "not an e-mail address"
        raise ValueError(msg)
    return text


Email = Annotated[str, StringConstraints(strip_whitespace=True, max_length=254), AfterValidator(mail_address)]
Address = Annotated[
    Text, StringConstraints(strip_whitespace=True, min_length=1, max_length=2048, pattern=r"^[^\r\n]+$")
]
ChannelName = TypeAliasType("ChannelName", Annotated[Text, StringConstraints(max_length=64)])
"""How a person is reached."""
