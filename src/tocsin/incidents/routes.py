"""The routes of incident management."""

from tocsin.incidents import handlers
from tocsin.kernel.principal import Scope
from tocsin.kernel.routing import get, patch, post

# Matches an id or a number only, so that `/correlate` with a wrong method is a 405 instead of an unknown incident.
INCIDENT_PATH = "/api/v1/incidents/{incident_id:[0-9A-Fa-f-]+}"

ROUTES = [
    post("/api/v1/incidents", handlers.post_incident, name="incidents", scope=Scope.RESPOND),
    get("/api/v1/incidents", handlers.list_incidents, scope=Scope.READ),
    get("/api/v1/incidents/counts", handlers.get_counts, name="counts", scope=Scope.READ),
    get("/api/v1/incidents/board", handlers.get_board, name="board", scope=Scope.SERVICE),
    get("/api/v1/incidents/listing", handlers.get_listing, name="listing", scope=Scope.SERVICE),
    get("/api/v1/incidents/stats/summary", handlers.get_stats_summary, name="stats", scope=Scope.READ),
    get("/api/v1/incidents/stats/overview", handlers.get_stats_overview, name="overview", scope=Scope.READ),
    get("/api/v1/incidents/stream", handlers.get_stream, name="stream", allow_head=False, scope=Scope.READ),
    post("/api/v1/incidents/correlate", handlers.post_correlate, name="correlate", scope=Scope.SERVICE),
    get("/api/v1/incidents/alerts-in-use", handlers.get_alerts_in_use, name="alerts_in_use", scope=Scope.SERVICE),
    post("/api/v1/incidents/states", handlers.post_states, name="states", scope=Scope.SERVICE),
    get(INCIDENT_PATH, handlers.get_incident, name="incident", scope=Scope.READ),
    patch(INCIDENT_PATH, handlers.patch_incident, scope=Scope.RESPOND),
    get(INCIDENT_PATH + "/view", handlers.get_view, name="view", scope=Scope.SERVICE),
    get(INCIDENT_PATH + "/metrics", handlers.get_incident_metrics, name="incident_metrics", scope=Scope.READ),
    get(INCIDENT_PATH + "/timeline", handlers.list_timeline, name="timeline", scope=Scope.READ),
    post(INCIDENT_PATH + "/timeline", handlers.post_timeline, scope=Scope.SERVICE),
]
