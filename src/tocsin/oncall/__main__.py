"""`python -m tocsin.oncall` runs oncall-service."""

from tocsin.kernel.server import serve
from tocsin.oncall.app import create_app
from tocsin.oncall.settings import Settings

if __name__ == "__main__":
    serve(create_app, Settings)
