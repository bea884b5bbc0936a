"""Format durations, instants, counts and names. `static/times.js` formats running times by the same rules."""

import re
import zlib
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from tocsin.contracts.escalations import Level
from tocsin.contracts.incidents import IncidentStatus
from tocsin.contracts.model import Severity

MINUTE: Final = 60
HOUR: Final = 3_600
DAY: Final = 86_400
ADDRESS: Final = re.compile(r"https?://\S+")
MAX_ADDRESS: Final = 2_048
TINTS: Final = 6
"""Colours for people in `tokens.css`."""

SEVERITY_LABELS: Final = {
    Severity.CRITICAL: "Critical",
    Severity.HIGH: "High",
    Severity.MEDIUM: "Medium",
    Severity.LOW: "Low",
}
STATUS_LABELS: Final = {
    IncidentStatus.OPEN: "Open",
    IncidentStatus.ACKNOWLEDGED: "Acknowledged",
    IncidentStatus.IN_PROGRESS: "In progress",
    IncidentStatus.RESOLVED: "Resolved",
}
LEVEL_LABELS: Final = {
    Level.PRIMARY: "Primary",
    Level.SECONDARY: "Secondary",
    Level.EVERYONE: "Everyone",
    Level.CATCH_ALL: "Catch-all",
}


def duration(seconds: float, *, clock_under: float = 0.0, tenths_under: float = 0.0) -> str:
    """Format a duration: `40 s`, `26 min`, `3 h 02`, `1 d 4 h`.

    Below *clock_under* seconds it is written `1:48`, below *tenths_under* seconds `0.8 s`.
    """
    if 0 <= seconds < tenths_under:
        return f"{seconds:.1f} s"
    whole = max(0, int(seconds))
    if whole < clock_under:
        return f"{whole // MINUTE}:{whole % MINUTE:02}"
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE:02}"
    return f"{whole // DAY} d {whole % DAY // HOUR} h"


def timer(seconds: float) -> str:
    """Format a duration that is being watched: `1:48` under an hour, then as `duration` does."""
    return duration(seconds, clock_under=HOUR)


def took(seconds: float, *, clock: bool = False) -> str:
    """Format a duration that is over: as `duration` does, with *clock* as `timer`; below a second `under 1 s`."""
    return "under 1 s" if seconds < 1 else timer(seconds) if clock else duration(seconds)


def figure(seconds: float) -> tuple[str, str]:
    """Return a mean duration as number and unit: `("2:06", "min")`, `("41", "min")`, `("3 h 02", "")`."""
    whole = round(seconds)
    if MINUTE <= whole < 10 * MINUTE:
        return timer(whole), "min"
    if whole >= HOUR:
        return duration(whole), ""
    return (str(whole), "s") if whole < MINUTE else (str(round(whole / MINUTE)), "min")


def iso_duration(seconds: float) -> str:
    """Format a duration for `<time datetime>` (HTML, section 2.3.5.8): `PT108S`."""
    return f"PT{max(0, int(seconds))}S"


def iso(at: datetime) -> str:
    """Format an instant for `<time datetime>`, to the millisecond, in UTC."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock(at: datetime) -> str:
    """Format an instant as UTC clock time: `01:12:20 UTC`."""
    return f"{at:%H:%M:%S} UTC"


def minute(at: datetime) -> str:
    """Format an instant as UTC clock time without seconds."""
    return f"{at:%H:%M} UTC"


def weekday(at: datetime) -> str:
    """Format an instant of the coming days: `Mon 09:00 UTC`."""
    return f"{at:%a %H:%M} UTC"


def wall(at: datetime, zone: ZoneInfo) -> str:
    """Format an instant in local time of *zone*: `Mon 09:00`."""
    return f"{at.astimezone(zone):%a %H:%M}"


def wall_day(at: datetime, zone: ZoneInfo) -> str:
    """Format an instant in local time of *zone*, with its date: `Mon 26 Oct, 09:00 CET`."""
    local = at.astimezone(zone)
    return f"{day(local)}, {local:%H:%M %Z}"


def day(on: date) -> str:
    """Format a date: `Mon 26 Oct`."""
    return f"{on:%a} {on.day} {on:%b}"


def full(at: datetime) -> str:
    """Format an instant in full: `Thu 22 Oct 2026, 01:12:20 UTC`."""
    return f"{at:%a} {at.day} {at:%b} {at.year:04}, {at:%H:%M:%S} UTC"


def calendar_day(on: date) -> str:
    """Format a date without its weekday: `27 Jul`."""
    return f"{on.day} {on:%b}"


def zone(name: str) -> ZoneInfo:
    """Return the IANA time zone *name*."""
    return ZoneInfo(name)


def since(then: datetime, now: datetime) -> float:
    """Return the seconds from *then* to *now*; 0 if the clocks of two machines disagree."""
    return max(0.0, (now - then) / timedelta(seconds=1))


def count(number: int, one: str, many: str | None = None) -> str:
    """Format a number with its noun: `1 alert`, `1,204 alerts`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def listed(names: list[str], most: int = 3) -> str:
    """Join names: `Ann`, `Ann and Bo`, `Ann, Bo, Cy and 4 more`."""
    shown = names[:most]
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def capitalised(text: str) -> str:
    """Return *text* with its first letter in upper case, for the start of a sentence."""
    return text[:1].upper() + text[1:]


def rows(text: str) -> int:
    """Return the height, in lines, of a field that shows all of *text* and a line to add: 2 to 12."""
    return min(max(2, len(text.splitlines()) + 1), 12)


def initials(name: str) -> str:
    """Return a person's initials: `PR` for Priya Raman, `D` for dele@example.org."""
    words = [word for word in name.split() if word[0].isalnum()] or [name.strip() or "?"]
    chosen = words if len(words) == 1 else [words[0], words[-1]]
    return "".join(word[0].upper() for word in chosen)


def tint(name: str) -> int:
    """Return the number of a person's colour: 1 to 6, always the same one."""
    return zlib.crc32(name.encode()) % TINTS + 1


def cut(text: str, most: int) -> str:
    """Return at most *most* characters of *text*, ending with an ellipsis if it was longer."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def is_address(text: str) -> bool:
    """Return whether *text* is an address that may be linked: `http` or `https`, as in an alert's links."""
    return len(text) <= MAX_ADDRESS and ADDRESS.fullmatch(text) is not None


def number(value: int) -> str:
    """Format a whole number: `1,204`."""
    return f"{value:,}"
