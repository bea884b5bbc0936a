"""Show the audit, and download it."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from aiohttp import hdrs, web

from tocsin.contracts.audit import AuditEntry
from tocsin.kernel import clock
from tocsin.kernel.errors import DomainError
from tocsin.web.access.service import DEPS, audit
from tocsin.web.pages.audit.filter import AuditFilter
from tocsin.web.pages.audit.loader import load_audit
from tocsin.web.pages.audit.view import COLUMNS, audit_view, csv_row
from tocsin.web.ui import templating
from tocsin.web.ui.tables import csv_lines

MAX_ROWS: Final = 100_000
"""Entries of a file; a last line says if there are more."""


async def get_audit(request: web.Request) -> web.Response:
    """Show the entries that match the filters in the address."""
    chosen = AuditFilter.read(request.query)
    context = {"view": audit_view(await load_audit(request.app, chosen)), "path": AuditFilter.path}
    return templating.render(request, "pages/audit/page.html", blocks=("main",), context=context)


async def get_file(request: web.Request) -> web.StreamResponse:
    """Respond with the entries that match the filters as CSV, page by page."""
    chosen = AuditFilter.read(request.query)
    pages = audit.all_entries(request.app[DEPS], chosen.query(1), limit=MAX_ROWS)
    first = await anext(pages)  # an error is still a response
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: "text/csv; charset=utf-8",
            hdrs.CONTENT_DISPOSITION: f'attachment; filename="audit-{clock.now():%Y-%m-%d}.csv"',
            hdrs.CACHE_CONTROL: "no-store",
        }
    )
    await response.prepare(request)
    try:
        await _write(response, first, pages)
    except DomainError:
        if request.transport is not None:  # the response has started: a file that ends early must not look complete
            request.transport.abort()
        return response
    await response.write_eof()
    return response


async def _write(
    response: web.StreamResponse, first: Sequence[AuditEntry], pages: AsyncIterator[Sequence[AuditEntry]]
) -> None:
    await response.write(csv_lines([COLUMNS, *map(csv_row, first)]).encode())
    written = len(first)
    async for entries in pages:
        await response.write(csv_lines(map(csv_row, entries)).encode())
        written += len(entries)
    if written >= MAX_ROWS:
        await response.write(csv_lines([["There may be more entries: choose fewer days."]]).encode())
