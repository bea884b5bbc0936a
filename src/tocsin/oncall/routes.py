"""Routes of oncall-service."""

from aiohttp import web

from tocsin.oncall import handlers

ROUTES = [
    web.post("/api/v1/schedules", handlers.post_schedule),
    web.get("/api/v1/schedules", handlers.list_schedules),
    web.get("/api/v1/schedules/{schedule_id}", handlers.get_schedule, name="schedule"),
    web.put("/api/v1/schedules/{schedule_id}", handlers.put_schedule),
    web.get("/api/v1/oncall/current", handlers.get_current),
    web.get("/api/v1/oncall/upcoming", handlers.get_upcoming),
    web.get("/api/v1/oncall/overview", handlers.get_overview),
    web.post("/api/v1/escalate", handlers.post_escalate),
    web.get("/api/v1/escalations", handlers.list_escalations),
    web.post("/api/v1/escalations", handlers.post_escalation),
    web.get("/api/v1/escalations/{incident_id}", handlers.get_escalation),
    web.post("/api/v1/escalations/{incident_id}/stop", handlers.post_stop),
    web.post("/api/v1/escalations/{incident_id}/delivery-failed", handlers.post_delivery_failed),
]
