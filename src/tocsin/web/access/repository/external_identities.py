"""Which account belongs to which person of an OpenID provider, and log-ins by the provider that have begun."""

from dataclasses import dataclass, field
from uuid import UUID

from tocsin.kernel.db import Cursor, execute, fetch_all, fetch_one
from tocsin.web.access.domain.bearer_secrets import digest
from tocsin.web.access.domain.openid import FLOW_SECONDS, Flow, ProviderLink
from tocsin.web.access.repository.throttle import Count


@dataclass(frozen=True, slots=True)
class TakenFlow:
    """A log-in that has come back from the provider, for the first and only time."""

    flow: Flow = field(repr=False)
    return_to: str
    count: Count


async def insert_flow(cur: Cursor, flow: Flow, *, return_to: str, count: Count) -> None:
    """Insert a log-in that begins."""
    await execute(
        cur,
        """
        INSERT INTO access.oidc_flow (state_hash, browser_hash, return_to, count_key, counted_until, expires_at)
        VALUES (%(state_hash)s, %(browser_hash)s, %(return_to)s, %(count_key)s, %(counted_until)s,
                tocsin.now() + %(seconds)s * interval '1 second')
        """,
        state_hash=digest(flow.state),
        browser_hash=digest(flow.browser),
        return_to=return_to,
        count_key=count.key,
        counted_until=count.expires_at,
        seconds=FLOW_SECONDS,
    )


async def take_flow(cur: Cursor, flow: Flow) -> TakenFlow | None:
    """Delete a log-in that has begun, and return it; None if it is unknown, another browser's, used or expired."""
    row = await fetch_one(
        cur,
        """
        DELETE FROM access.oidc_flow
        WHERE state_hash = %(state_hash)s AND browser_hash = %(browser_hash)s AND expires_at > tocsin.now()
        RETURNING return_to, count_key, counted_until
        """,
        state_hash=digest(flow.state),
        browser_hash=digest(flow.browser),
    )
    return TakenFlow(flow, row["return_to"], Count(row["count_key"], row["counted_until"])) if row else None


async def find_account_id(cur: Cursor, *, issuer: str, subject: str) -> UUID | None:
    """Return the account of a person of the provider."""
    row = await fetch_one(
        cur,
        "SELECT account_id FROM access.external_identity WHERE issuer = %(issuer)s AND subject = %(subject)s",
        issuer=issuer,
        subject=subject,
    )
    return row["account_id"] if row else None


async def insert_link(cur: Cursor, *, issuer: str, subject: str, account_id: UUID) -> bool:
    """Link an account to a person of the provider. Return False if it is linked to another person there."""
    inserted = await execute(
        cur,
        """
        INSERT INTO access.external_identity (issuer, subject, account_id)
        VALUES (%(issuer)s, %(subject)s, %(account_id)s)
        ON CONFLICT (account_id, issuer) DO NOTHING
        """,
        issuer=issuer,
        subject=subject,
        account_id=account_id,
    )
    return inserted > 0


async def list_links(cur: Cursor, account_id: UUID) -> list[ProviderLink]:
    """Return the links of an account, one for each provider that was ever configured, newest first."""
    rows = await fetch_all(
        cur,
        """
        SELECT issuer, created_at FROM access.external_identity
        WHERE account_id = %(account_id)s ORDER BY created_at DESC, issuer
        """,
        account_id=account_id,
    )
    return [ProviderLink(row["issuer"], row["created_at"]) for row in rows]


async def delete_link(cur: Cursor, account_id: UUID, *, issuer: str) -> bool:
    """Delete the link of an account to a provider. Return False if there is none."""
    deleted = await execute(
        cur,
        "DELETE FROM access.external_identity WHERE account_id = %(account_id)s AND issuer = %(issuer)s",
        account_id=account_id,
        issuer=issuer,
    )
    return deleted > 0
