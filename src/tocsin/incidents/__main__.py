"""Start incident management: `python -m tocsin.incidents`."""

from tocsin.incidents.app import create_app
from tocsin.incidents.settings import Settings
from tocsin.kernel.server import serve

if __name__ == "__main__":
    serve(create_app, Settings)
