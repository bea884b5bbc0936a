"""Query the readiness of this container's service: the HEALTHCHECK of its image."""

import http.client
import os
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["PORT"]), timeout=2.5)
try:
    connection.request("GET", "/health/ready")
    response = connection.getresponse()
    body = response.read(1_000).decode(errors="replace")
except OSError as exc:
    sys.exit(f"no response: {exc}")
# `docker inspect` shows this text.
sys.exit(None if response.status == http.client.OK else f"{response.status} {body}")
