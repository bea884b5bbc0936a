"""Which build this is."""

import os
from importlib.metadata import version
from typing import Final

VERSION: Final = os.environ.get("TOCSIN_VERSION") or version("tocsin")
"""The release, or what `TOCSIN_VERSION` says: an image carries its commit there."""
