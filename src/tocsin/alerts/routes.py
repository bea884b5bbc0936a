"""Every address of alert-ingestion."""

from aiohttp import web

from tocsin.alerts import handlers

ROUTES = [
    web.post("/api/v1/alerts", handlers.post_alert),
    web.get("/api/v1/alerts", handlers.list_alerts),
    web.get("/api/v1/alerts/summary", handlers.get_summary),
    web.get("/api/v1/alerts/{alert_id}", handlers.get_alert),
    web.post("/api/v1/receivers/alertmanager", handlers.post_alertmanager),
]
