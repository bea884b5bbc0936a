"""The routes of notification-service."""

from tocsin.kernel.principal import Scope
from tocsin.kernel.routing import get, post
from tocsin.notifications import handlers

ROUTES = [
    post("/api/v1/notify", handlers.post_notify, scope=Scope.RESPOND),
    get("/api/v1/notifications", handlers.list_notifications, scope=Scope.READ),
    get("/api/v1/notifications/board", handlers.get_board, scope=Scope.SERVICE),
    get("/api/v1/notifications/summary", handlers.get_summary, scope=Scope.READ),
    get("/api/v1/notifications/{notification_id:(?!void$)[^{}/]+}", handlers.get_notification, scope=Scope.READ),
    post("/api/v1/notifications/{notification_id}/redeliver", handlers.post_redeliver, scope=Scope.RESPOND),
    post("/api/v1/notifications/void", handlers.post_void, scope=Scope.SERVICE),
]
