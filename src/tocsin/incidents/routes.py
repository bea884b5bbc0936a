"""The routes of incident management."""

from aiohttp import web

from tocsin.incidents import handlers

# Matches an id or a number, so that `/correlate` with a wrong method is a 405 and not an unknown incident.
ONE = "/api/v1/incidents/{incident_id:[0-9A-Fa-f-]+}"

ROUTES = [
    web.post("/api/v1/incidents", handlers.post_incident, name="incidents"),
    web.get("/api/v1/incidents", handlers.list_incidents),
    web.get("/api/v1/incidents/counts", handlers.get_counts, name="counts"),
    web.get("/api/v1/incidents/stats/summary", handlers.get_stats_summary, name="stats"),
    web.get("/api/v1/incidents/stats/overview", handlers.get_stats_overview, name="overview"),
    web.get("/api/v1/incidents/stream", handlers.get_stream, name="stream", allow_head=False),
    web.post("/api/v1/incidents/correlate", handlers.post_correlate, name="correlate"),
    web.post("/api/v1/incidents/states", handlers.post_states, name="states"),
    web.get(ONE, handlers.get_incident, name="incident"),
    web.patch(ONE, handlers.patch_incident),
    web.get(ONE + "/metrics", handlers.get_incident_metrics, name="incident_metrics"),
    web.get(ONE + "/timeline", handlers.list_timeline, name="timeline"),
    web.post(ONE + "/timeline", handlers.post_timeline),
]
