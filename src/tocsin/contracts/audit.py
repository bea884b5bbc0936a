"""The wire models of the audit: who changed what in closed mode."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from tocsin.contracts.model import Document, Instant, Model, Text


class AuditAction(StrEnum):
    """What was done. A service of another release may know more actions: they are stored and shown as well."""

    INCIDENT_OPEN = "incident.open"
    """An incident was opened by hand."""
    INCIDENT_ACKNOWLEDGE = "incident.acknowledge"
    INCIDENT_START = "incident.start"
    """Work on an incident has begun."""
    INCIDENT_RESOLVE = "incident.resolve"
    INCIDENT_CHANGE = "incident.change"
    """The title, the severity or the assignee of an incident was changed."""
    INCIDENT_NOTE = "incident.note"
    """A note was added to an incident, whose timeline has its text."""
    INCIDENT_ESCALATE = "incident.escalate"
    """The next level, or another team, was paged."""
    MESSAGE_SEND = "message.send"
    """A message was sent by POST /api/v1/notify."""
    MESSAGE_REDELIVER = "message.redeliver"
    """A failed or cancelled message was sent again."""
    SCHEDULE_CREATE = "schedule.create"
    """A team with its schedule was created."""
    SCHEDULE_CHANGE = "schedule.change"
    PERSON_CREATE = "person.create"
    PERSON_CHANGE = "person.change"
    PERSON_DELETE = "person.delete"
    MEMBERSHIP_CHANGE = "membership.change"
    """A person was added to a team, or got another role there."""
    MEMBERSHIP_DELETE = "membership.delete"
    """A person was removed from a team."""
    ACCOUNT_SETUP = "account.setup"
    """The first admin has used the set-up link."""
    ACCOUNT_CREATE = "account.create"
    """An account was created; a person is invited by it."""
    ACCOUNT_CHANGE = "account.change"
    """The name, the e-mail address, the role or the person of an account was changed."""
    ACCOUNT_DISABLE = "account.disable"
    ACCOUNT_ENABLE = "account.enable"
    LINK_CREATE = "link.create"
    """A link to choose a password, or that of the first admin, was created."""
    PASSWORD_CHANGE = "password.change"  # noqa: S105 - the name of the action
    """A password was chosen by a link, or changed."""
    PASSKEY_ADD = "passkey.add"
    PASSKEY_REMOVE = "passkey.remove"
    PROVIDER_LINK = "provider.link"
    """An account was linked to a person of the OpenID provider."""
    PROVIDER_UNLINK = "provider.unlink"
    TOKEN_CREATE = "token.create"  # noqa: S105 - the name of the action
    TOKEN_REVOKE = "token.revoke"  # noqa: S105 - the name of the action
    SESSION_END = "session.end"
    """Another session of the account, or all others, were ended."""
    LOG_IN = "log-in"
    LOG_IN_REFUSED = "log-in.refused"
    """Log-ins were refused: a wrong password, an unknown address or passkey, too many failures, or a person of the
    OpenID provider or a trusted proxy without an account that can be used."""
    LOG_OUT = "log-out"
    REQUEST_REFUSED = "request.refused"
    """Requests with an invalid token or signature, and changes in a session that has ended (401); requests without the
    permission that they require (403)."""


class AuditPrincipal(Model):
    """Who did something."""

    kind: Annotated[str, Field(max_length=32)]
    """`person`, `account` (a program), `link`, `service`, or `nobody` for a client that proved no account."""
    name: Annotated[Text, Field(max_length=256)] | None = None
    """As it was then."""
    account_id: UUID | None = None


class AuditObject(Model):
    """What something was done to."""

    kind: Annotated[str, Field(max_length=32)]
    """`incident`, `message`, `schedule`, `person`, `team`, `account`, `token`, `passkey`, `session` or `route`."""
    id: Annotated[Text, Field(max_length=256)]
    name: Annotated[Text, Field(max_length=256)]
    """As it was then."""


class AuditEntry(Model):
    """One change, log-in or refusal."""

    id: UUID
    at: Instant
    service: Annotated[str, Field(max_length=64)]
    """The service that made the change."""
    action: Annotated[str, Field(max_length=64)]
    """An `AuditAction`, or one of another release."""
    principal: AuditPrincipal
    credential_id: UUID | None = None
    """The session or token of the principal."""
    address: Annotated[Text, Field(max_length=512)]
    """The network address of the client; for refusals of `nobody`, its network."""
    object: AuditObject
    before: Document | None = None
    """The changed fields; secrets and contact addresses are masked."""
    after: Document | None = None
    count: Annotated[int, Field(ge=1, le=2**31 - 1)] = 1
    """How often: the refusals of a minute are one entry."""
    request_id: Annotated[str, Field(max_length=128)]


class RecordedEntries(Model):
    """Entries of a service, for the audit."""

    entries: Annotated[list[AuditEntry], Field(max_length=1_000)]


class EntriesStored(Model):
    """The outcome of storing entries."""

    stored: int
    """How many are new; the others were stored before."""
