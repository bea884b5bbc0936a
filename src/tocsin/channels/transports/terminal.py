"""Standard error and the log."""

import structlog

from tocsin.kernel.line_writer import STANDARD_ERROR

log = structlog.get_logger(__name__)


class StandardError:
    """The console of this process."""

    def write(self, line: str, **fields: object) -> None:
        """Print *line*, and log *fields*."""
        STANDARD_ERROR.write(f"{line}\n".encode(errors="replace"))
        log.info("console delivery", **fields)
