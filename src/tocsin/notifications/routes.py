"""The routes of notification-service."""

from aiohttp import web

from tocsin.notifications import handlers

ROUTES = [
    web.post("/api/v1/notify", handlers.post_notify),
    web.get("/api/v1/notifications", handlers.list_notifications),
    web.get("/api/v1/notifications/summary", handlers.get_summary),
    web.get("/api/v1/notifications/{notification_id:(?!void$)[^{}/]+}", handlers.get_notification),
    web.post("/api/v1/notifications/{notification_id}/redeliver", handlers.post_redeliver),
    web.post("/api/v1/notifications/void", handlers.post_void),
]
