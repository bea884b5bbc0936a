"""How durations, counts and names are written. `static/times.js` writes ticking times by the same rules."""

import zlib
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from tocsin.channels import CHANNELS
from tocsin.contracts.escalations import Level
from tocsin.contracts.incidents import IncidentStatus
from tocsin.contracts.model import Severity

MINUTE: Final = 60
HOUR: Final = 3_600
DAY: Final = 86_400
TINTS: Final = 6
"""How many quiet colours `tokens.css` has for people."""

SEVERITY_WORDS: Final = {
    Severity.CRITICAL: "Critical",
    Severity.HIGH: "High",
    Severity.MEDIUM: "Medium",
    Severity.LOW: "Low",
}
STATUS_WORDS: Final = {
    IncidentStatus.OPEN: "Open",
    IncidentStatus.ACKNOWLEDGED: "Acknowledged",
    IncidentStatus.IN_PROGRESS: "In progress",
    IncidentStatus.RESOLVED: "Resolved",
}
LEVEL_WORDS: Final = {
    Level.PRIMARY: "Primary",
    Level.SECONDARY: "Secondary",
    Level.EVERYONE: "Everyone",
    Level.CATCH_ALL: "Catch-all contact",
}
CHANNEL_WORDS: Final = CHANNELS.labels


def ticking(seconds: float) -> str:
    """Write a duration that people watch: `1:48` under an hour, then as `lasting` does."""
    whole = max(0, int(seconds))
    return f"{whole // MINUTE}:{whole % MINUTE:02}" if whole < HOUR else lasting(whole)


def lasting(seconds: float) -> str:
    """Write a duration that people read once: `40 s`, `26 min`, `3 h 02`, `1 d 4 h`."""
    whole = max(0, int(seconds))
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE:02}"
    return f"{whole // DAY} d {whole % DAY // HOUR} h"


def figure(seconds: float) -> tuple[str, str]:
    """Split a mean duration into a figure and its unit: `("2:06", "min")`, `("41", "min")`, `("3 h 02", "")`."""
    whole = round(seconds)
    if whole < MINUTE:
        return str(whole), "s"
    if whole < 10 * MINUTE:
        return f"{whole // MINUTE}:{whole % MINUTE:02}", "min"
    if whole < HOUR:
        return str(round(whole / MINUTE)), "min"
    return lasting(whole), ""


def iso_duration(seconds: float) -> str:
    """Write a duration for `<time datetime>` (HTML, section 2.3.5.8): `PT108S`."""
    return f"PT{max(0, int(seconds))}S"


def iso(at: datetime) -> str:
    """Write an instant for `<time datetime>`, to the millisecond, in UTC."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock(at: datetime) -> str:
    """Write an instant as UTC clock time, and say so."""
    return f"{at:%H:%M:%S} UTC"


def minute(at: datetime) -> str:
    """Write an instant as UTC clock time without seconds."""
    return f"{at:%H:%M} UTC"


def weekday(at: datetime) -> str:
    """Write an instant of the coming days: `Mon 09:00 UTC`."""
    return f"{at:%a %H:%M} UTC"


def wall(at: datetime, zone: ZoneInfo) -> str:
    """Write an instant by the wall clock of *zone*: `Mon 09:00`."""
    return f"{at.astimezone(zone):%a %H:%M}"


def wall_day(at: datetime, zone: ZoneInfo) -> str:
    """Write an instant by the wall clock of *zone*, with its date: `Mon 26 Oct, 09:00 CET`."""
    local = at.astimezone(zone)
    return f"{day(local)}, {local:%H:%M %Z}"


def day(on: date) -> str:
    """Write a day: `Mon 26 Oct`."""
    return f"{on:%a} {on.day} {on:%b}"


def full(at: datetime) -> str:
    """Write an instant whole: `Thu 22 Oct 2026, 01:12:20 UTC`."""
    return f"{at:%a} {at.day} {at:%b} {at.year:04}, {at:%H:%M:%S} UTC"


def calendar_day(on: date) -> str:
    """Write a day of the calendar: `27 Jul`."""
    return f"{on.day} {on:%b}"


def since(then: datetime, now: datetime) -> float:
    """Return the seconds from *then* to *now*; 0 where the clocks of two machines disagree."""
    return max(0.0, (now - then) / timedelta(seconds=1))


def count(number: int, one: str, many: str | None = None) -> str:
    """Write a number with its noun: `1 alert`, `1,204 alerts`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def listed(names: list[str], most: int = 3) -> str:
    """Write names as people say them: `Ann`, `Ann and Bo`, `Ann, Bo, Cy and 4 more`."""
    shown = names[:most]
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def initials(name: str) -> str:
    """Return what stands in a person's round: `PR` for Priya Raman, `D` for dele@example.org."""
    words = [word for word in name.split() if word[0].isalnum()] or [name.strip() or "?"]
    chosen = words if len(words) == 1 else [words[0], words[-1]]
    return "".join(word[0].upper() for word in chosen)


def tint(name: str) -> int:
    """Return which of the six quiet colours a person has: always the same one."""
    return zlib.crc32(name.encode()) % TINTS + 1


def cut(text: str, most: int) -> str:
    """Return at most *most* characters of *text*, with a sign that more was there."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def brief(seconds: float) -> str:
    """Write a duration that is expected to be short: `0.8 s`, else as `lasting` does."""
    return f"{seconds:.1f} s" if seconds < 10 else lasting(seconds)  # noqa: PLR2004 - tenths matter under ten seconds
