"""The version of this build."""

import os
from importlib.metadata import version
from typing import Final

VERSION: Final = os.environ.get("TOCSIN_VERSION") or version("tocsin")
"""`TOCSIN_VERSION`, which an image sets to its commit; otherwise the package's version."""
