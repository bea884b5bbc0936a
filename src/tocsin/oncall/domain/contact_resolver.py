"""The contacts to page: a member's own, the default of a member without any, and the catch-all."""

from dataclasses import dataclass

from tocsin.channels import console, email
from tocsin.contracts.oncall import Contact, Member


@dataclass(frozen=True, slots=True)
class ContactResolver:
    """Resolves members to contacts."""

    email_enabled: bool
    """Whether members without contacts are paged by e-mail; otherwise they are paged on the console."""
    catch_all: Contact
    """Paged if nobody is on call or nobody can be reached."""

    def contacts_of(self, member: Member) -> tuple[Contact, ...]:
        """Return the distinct contacts of *member*; never empty."""
        if member.contacts:
            return tuple(dict.fromkeys(member.contacts))
        channel = email.CHANNEL if self.email_enabled else console.CHANNEL
        return (Contact(channel=channel.name, address=member.email),)
