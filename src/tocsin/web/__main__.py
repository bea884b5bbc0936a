"""Run the web service: `python -m tocsin.web`."""

from tocsin.kernel.server import serve
from tocsin.web.app import create_app
from tocsin.web.settings import Settings

if __name__ == "__main__":
    serve(create_app, Settings)
