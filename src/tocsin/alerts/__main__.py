"""Start alert-ingestion."""

from tocsin.alerts.app import create_app
from tocsin.alerts.settings import Settings
from tocsin.kernel.server import serve

serve(create_app, Settings)
