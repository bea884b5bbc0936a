"""The console of notification-service, for trying Tocsin before another channel is set up."""

from tocsin.channels.channel import URL_SECRETS, Channel, ChannelSettings, Transports
from tocsin.channels.message import Message, Outcome, one_line
from tocsin.contracts.contact_types import masked_in

MAX_LINE = 400


class ConsoleChannel(Channel[ChannelSettings]):
    """Prints a readable line on standard error, and logs a structured one."""

    name = "mock"
    label = "Console"
    label_in_text = "console"
    address_help = "any name"
    address_example = "priya"
    set_up = "no configuration required; the messages are in the output of notification-service"
    secret_in_address = URL_SECRETS  # any text is a valid address, even a URL
    settings_type = ChannelSettings

    def check_address(self, address: str) -> None:
        """Accept any address."""

    def render(self, message: Message, _settings: ChannelSettings) -> str:
        """Return the line to print."""
        incident = message.page.incident if message.page is not None and not message.digest else None
        about = f"#{incident.number} {incident.severity}: " if incident is not None else ""
        person = f"{message.page.person} " if message.page is not None else ""
        address = _shown(message.address)
        return one_line(f"{message.kind.upper()} to {person}<{address}>: {about}{message.text}", MAX_LINE)

    async def send(self, message: Message, settings: ChannelSettings, transports: Transports) -> Outcome:
        """Print the message and log it."""
        transports.terminal.write(
            self.render(message, settings),
            delivery_id=str(message.delivery_id),
            incident_id=str(message.incident_id),
            kind=message.kind,
            recipient=_shown(message.address),
            text=message.text,
        )
        return Outcome.sent("written to the console")


def _shown(address: str) -> str:
    """Return *address* masked, unless it is a word: only the console accepts those, and they reach nobody."""
    return masked_in(address, address)


CHANNEL = ConsoleChannel()
