"""The API of the audit, in closed mode."""

from http import HTTPStatus

from aiohttp import web

from tocsin.contracts.audit import AuditEntry, EntriesStored, RecordedEntries
from tocsin.contracts.model import Page
from tocsin.kernel.openapi import describes
from tocsin.kernel.requests import INTERNAL_BODY_LIMIT, parse_body, parse_query
from tocsin.kernel.responses import respond
from tocsin.web.access.queries import AuditQuery
from tocsin.web.access.service import DEPS, audit


@describes(Page[AuditEntry], query=AuditQuery)
async def list_audit(request: web.Request) -> web.Response:
    """List who changed what, newest first: every change of incidents, schedules, people, accounts and tokens.

    Log-ins and refused requests are in the list as well.
    """
    return respond(await audit.list_entries(request.app[DEPS], parse_query(request, AuditQuery)))


@describes({HTTPStatus.CREATED: EntriesStored}, body=RecordedEntries, internal=True)
async def post_entries(request: web.Request) -> web.Response:
    """Store entries of another service. Those that are stored already are ignored."""
    given = await parse_body(request, RecordedEntries, limit=INTERNAL_BODY_LIMIT)
    stored = await audit.store(request.app[DEPS], [entry.model_dump(mode="json") for entry in given.entries])
    return respond(EntriesStored(stored=stored), status=HTTPStatus.CREATED)
