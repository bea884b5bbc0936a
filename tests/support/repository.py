"""The files of this repository."""

import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
VENDORED: Final = "src/tocsin/kernel/static/", "src/tocsin/web/static/vendor/"


def tracked(*patterns: str) -> list[Path]:
    """Return the files that git knows or would add, without those taken over from others."""
    command = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *patterns)
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")  # noqa: S603
    paths = (ROOT / name for name in names if name and not name.startswith(VENDORED))
    return [path for path in paths if path.is_file() and path.name != "uv.lock"]
