"""Rotations and instants for property tests, many of them near changes of the clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tocsin.oncall.domain.rotation import DAY, WEEK, Rotation

# Zones that change by half an hour, at midnight or at noon, that skipped a day, or that never change.
NAMES = [
    "UTC", "Europe/Berlin", "America/New_York", "America/Chicago", "Australia/Lord_Howe", "Africa/Cairo",
    "America/Santiago", "America/Asuncion", "Asia/Beirut", "Pacific/Apia", "Pacific/Kwajalein", "Pacific/Kiritimati",
    "Asia/Kathmandu", "America/St_Johns", "Antarctica/Troll", "Africa/Casablanca", "Asia/Gaza", "America/Caracas",
    "Asia/Pyongyang", "Atlantic/Azores", "America/Scoresbysund", "Pacific/Chatham", "Europe/Dublin", "Asia/Tehran",
    "America/Havana", "Europe/Moscow", "Asia/Kolkata", "Australia/Adelaide", "Pacific/Norfolk", "America/Nuuk",
]  # fmt: skip
FIRST, LAST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2037, 12, 31, tzinfo=UTC)


def transitions(name: str) -> list[datetime]:
    """Return the instants between 1990 and 2037 at which the zone's offset changes, to the second."""
    zone = ZoneInfo(name)
    found: list[datetime] = []
    at = FIRST
    while at < LAST:
        later = at + timedelta(days=7)
        if at.astimezone(zone).utcoffset() != later.astimezone(zone).utcoffset():
            low, high = at, later
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
                if middle.astimezone(zone).utcoffset() == at.astimezone(zone).utcoffset():
                    low = middle
                else:
                    high = middle
            found.append(high)
        at = later
    return found


TRANSITIONS = {name: transitions(name) for name in NAMES}
EVERY_TRANSITION = sorted({at for found in TRANSITIONS.values() for at in found})
ZONES = st.sampled_from(NAMES).map(ZoneInfo)
INSTANTS = st.one_of(
    st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None), timezones=st.just(UTC)),
    st.builds(
        lambda at, seconds: at + timedelta(seconds=seconds),
        st.sampled_from(EVERY_TRANSITION),
        st.sampled_from([-86_400, -3600, -1, 0, 1, 1800, 3600, 86_400]),
    ),
)


@st.composite
def rotations(draw: st.DrawFn) -> Rotation:
    """Draw a rotation; half of them have handoffs near a local time that the zone skips or repeats."""
    name = draw(st.sampled_from(NAMES))
    zone = ZoneInfo(name)
    near_one: bool = draw(st.booleans())
    if TRANSITIONS[name] and near_one:
        near = draw(st.sampled_from(TRANSITIONS[name])).astimezone(zone).replace(tzinfo=None)
        anchor = near + timedelta(minutes=draw(st.sampled_from([-90, -60, -30, -1, 0, 1, 15, 30, 60])))
        anchor -= draw(st.integers(-500, 500)) * DAY
    else:
        anchor = draw(st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None)))
    return Rotation(zone, anchor.replace(second=0, microsecond=0, fold=0), draw(st.sampled_from([DAY, WEEK])))


ROTATIONS = rotations()
