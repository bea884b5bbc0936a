"""The upper limit: aiohttp and pydantic accept the same alert and discard it."""

import sys
from http import HTTPStatus

import uvloop
from aiohttp import web

from tocsin.contracts.alerts import AlertIn


async def post_alert(request: web.Request) -> web.Response:
    """Validate and respond."""
    alert = AlertIn.model_validate_json(await request.read())
    return web.json_response({"service": alert.service}, status=HTTPStatus.CREATED)


def main() -> None:
    """Listen on the port given as the first argument."""
    app = web.Application()
    app.add_routes([web.post("/api/v1/alerts", post_alert)])
    loop = uvloop.new_event_loop()
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, loop=loop, print=None)


if __name__ == "__main__":
    main()
