"""Standard error and the log."""

import sys

import structlog

log = structlog.get_logger(__name__)


class StandardError:
    """The console of this process."""

    def write(self, line: str, **fields: object) -> None:
        """Print *line*, and log *fields*."""
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
        log.info("console delivery", **fields)
