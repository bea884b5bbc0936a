"""`docs/channels.md`, written from the registry of channels: `python -m tests.support.channels_page` writes it anew."""

from pathlib import Path
from typing import Final

from tocsin.channels import CHANNELS

PAGE: Final = Path(__file__).parents[2] / "docs" / "channels.md"
INTRODUCTION: Final = """\
# Channels

A person is reached over the channels of their contacts: each contact of a schedule's member names one, with an address
on it. A member without contacts is reached by e-mail where `SMTP_URL` is set, else on the console. `tocsin check` shows
which channels are set up.

| Channel | `channel` | Address | Such as | Set-up |
| --- | --- | --- | --- | --- |
"""
END: Final = """
Secrets in an address are stored, but never shown or logged. [Settings](settings.md#notification-service) has every
variable. This page is written from the registry of channels by `make docs`.
"""


def render() -> str:
    """Return the whole page."""
    rows = [
        f"| {channel.label} | `{channel.name}` | {channel.address_help} | `{channel.address_example}` | "
        f"{channel.set_up} |"
        for channel in CHANNELS
    ]
    return INTRODUCTION + "\n".join(rows) + "\n" + END


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
