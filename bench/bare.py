"""The upper limit: aiohttp and pydantic accept the same requests and discard them."""

import sys
from http import HTTPStatus

import uvloop
from aiohttp import web

from tocsin.contracts.alerts import AlertIn
from tocsin.integrations.alertmanager import INTEGRATION
from tocsin.integrations.integration import DEFAULT_CONFIG


async def post_alert(request: web.Request) -> web.Response:
    """Validate and respond."""
    alert = AlertIn.model_validate_json(await request.read())
    return web.json_response({"service": alert.service}, status=HTTPStatus.CREATED)


async def post_group(request: web.Request) -> web.Response:
    """Parse a group of Alertmanager and respond."""
    alerts = INTEGRATION.parse(await request.read(), DEFAULT_CONFIG)
    return web.json_response({"alerts": len(alerts)})


def main() -> None:
    """Listen on the port given as the first argument."""
    app = web.Application()
    app.add_routes([web.post("/api/v1/alerts", post_alert), web.post(INTEGRATION.path, post_group)])
    loop = uvloop.new_event_loop()
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, loop=loop, print=None)


if __name__ == "__main__":
    main()
