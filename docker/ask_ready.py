"""Ask this container's own service whether it is ready: the HEALTHCHECK of its image."""

import http.client
import os
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["PORT"]), timeout=2.5)
try:
    connection.request("GET", "/health/ready")
    answer = connection.getresponse()
    told = answer.read(1_000).decode(errors="replace")
except OSError as exc:
    sys.exit(f"no answer: {exc}")
# `docker inspect` shows what is written here.
sys.exit(None if answer.status == http.client.OK else f"{answer.status} {told}")
