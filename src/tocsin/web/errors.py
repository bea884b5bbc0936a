"""Problems as pages: what a program gets as a document, a person reads."""

from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from tocsin.kernel.problems import Problem
from tocsin.web import templating

HEADINGS: Final = {
    403: "This was not done",
    404: "There is no such thing",
    405: "This cannot be done here",
    413: "This is too much at once",
    421: "Tocsin is not known by this name",
    422: "This cannot be done as it was said",
    503: "This does not work just now",
}


@web.middleware
async def error_page_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Show a problem document as a page to who asks for HTML; programs (`/api/`) get it as it is."""
    response = await handler(request)
    if (
        not isinstance(response, web.Response)
        or response.content_type != "application/problem+json"
        or request.path.startswith("/api/")
        or "text/html" not in request.headers.get(hdrs.ACCEPT, "")
    ):
        return response
    problem = Problem.model_validate_json(response.text or "")
    context = {"problem": problem, "heading": HEADINGS.get(problem.status, "This did not work")}
    page = templating.render(request, "error.html", blocks=("notices",), context=context, status=problem.status)
    for name in (hdrs.ALLOW, hdrs.RETRY_AFTER):
        if name in response.headers:
            page.headers[name] = response.headers[name]
    return page
