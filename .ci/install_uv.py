"""Install uv into a directory: `python3 .ci/install_uv.py 0.13.8 .uv` makes .uv/bin/uv.

Debian's Python comes without pip and venv. If pip is missing, a pinned version is downloaded for this run.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

PIP = (
    "https://files.pythonhosted.org/packages/07/25/ee8c38ae72d66b844ce8eb9711ba905dba21ca1a8a0c960057c41cd23337/"
    "pip-26.3-py3-none-any.whl"
)
PIP_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"


def fetch_pip(folder: Path) -> Path:
    """Download pip into *folder* and return the path to run. Exit if the file has another hash."""
    with urllib.request.urlopen(PIP, timeout=60) as response:
        wheel: bytes = response.read()
    if hashlib.sha256(wheel).hexdigest() != PIP_SHA256:
        sys.exit(f"{PIP} does not have the expected SHA-256")
    path = folder / PIP.rpartition("/")[2]
    path.write_bytes(wheel)
    return path / "pip"


def main(version: str, target: str) -> None:
    """Install uv *version* into *target*."""
    with tempfile.TemporaryDirectory() as folder:
        pip = ["-m", "pip"] if importlib.util.find_spec("pip") else [str(fetch_pip(Path(folder)))]
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--upgrade", "--target", target]
        environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
        subprocess.run([sys.executable, *pip, "install", *options, f"uv=={version}"], check=True, env=environment)


if __name__ == "__main__":
    main(*sys.argv[1:])
