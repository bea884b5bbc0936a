"""Show problem documents as pages."""

from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from tocsin.kernel.problems import Problem
from tocsin.web.ui import forms, templating

HEADINGS: Final = {
    401: "Log in first",
    403: "This request was rejected",
    404: "Page not found",
    405: "This address does not accept the request",
    408: "The request did not arrive in time",
    413: "The request is too large",
    421: "Unknown host name",
    422: "This request is invalid",
    503: "This is unavailable right now",
}


@web.middleware
async def error_page_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Render a problem document as a page if the client accepts HTML; under `/api/` it stays a document."""
    response = await handler(request)
    if (
        not isinstance(response, web.Response)
        or response.content_type != "application/problem+json"
        or request.path.startswith("/api/")
        or "text/html" not in request.headers.get(hdrs.ACCEPT, "")
    ):
        return response
    if response.status == HTTPStatus.UNAUTHORIZED and request.method in {hdrs.METH_GET, hdrs.METH_HEAD}:
        return forms.see_other(f"/login?{urlencode({'return_to': request.path_qs})}")
    problem = Problem.model_validate_json(response.text or "")
    context = {"problem": problem, "heading": HEADINGS.get(problem.status, "Something went wrong")}
    page = templating.render(request, "ui/error.html", blocks=("notices",), context=context, status=problem.status)
    for name in (hdrs.ALLOW, hdrs.RETRY_AFTER, hdrs.WWW_AUTHENTICATE):
        if name in response.headers:
            page.headers[name] = response.headers[name]
    return page
