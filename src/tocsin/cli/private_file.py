"""Files with secrets, which only their owner can read."""

from pathlib import Path
from typing import Final

MODE: Final = 0o600


def write_private(path: Path, text: str) -> None:
    """Write *text* to *path*, whole or not at all, so that only its owner can read it. Raise OSError."""
    temporary = path.with_name(f".{path.name}")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=MODE, exist_ok=False)
    temporary.write_text(text, encoding="utf-8")
    temporary.rename(path)
