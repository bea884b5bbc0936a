"""Start notification-service."""

from tocsin.kernel.server import serve
from tocsin.notifications.app import create_app
from tocsin.notifications.settings import Settings

serve(create_app, Settings)
