"""Hostile values, and ways to put them into a request."""

import base64
import json
import re
from random import Random  # noqa: TID251 - a seed of its own makes a case repeatable
from typing import Any, Final
from urllib.parse import quote

MAX_CHARACTERS: Final = 9_000_000
"""Of a document; the largest body that a route accepts has 8 MiB."""
EDGES: Final = (
    "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999-14:00",
    "9999-12-31",
    "1969-12-31T23:59:59Z",
    "3000-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-11-02T03:04:05",
    "2026-11-02T24:00:00Z",
    "2026-11-02T03:04:05+99:99",
    "-0001-01-01T00:00:00Z",
)
IDS: Final = ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "not-an-id")
TEXTS: Final = (
    "",
    " ",
    "\0",
    "a\0b",
    "\u2028",
    "\ufeff",
    "\u202e",
    "\x1b[2J",
    "\r\nSet-Cookie: a=b",
    "ß" * 300,
    "x" * 257,
    "x" * 70_000,
    "😀" * 5_000,
    "x" * 16_385,
    "null",
    "true",
    "NaN",
    "-1",
    "0",
    "1" * 10,
    "9" * 19,
    "9" * 400,
    "1e999",
    "0x10",
    "१२३",
    "²",
    "%s%d{0}{{ 7*7 }}",
    "'; DROP TABLE incidents.incident; --",
    "<script>alert(1)</script>",
    "\\",
    '"',
    "a:b|c",
    "!(&|:*",
    '"unclosed -',
    "../../etc/passwd",
    "http://[::1",
    "http://[v1.x]/",
    "http://a:99999999/",
    "https://user:pw@halyard.example:0/",
    "//halyard.example",
    "javascript:alert(1)",
    "Europe/../UTC",
    "mailto:a@b",
    "=?utf-8?q?=00?=",
    'W/"999999999999"',
    *EDGES,
    *IDS,
)
NUMBERS: Final = (0, -1, 1, 2**31 - 1, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, 1e308)
LITERALS: Final = ("NaN", "Infinity", "1e999", "-", "01", '"\\ud800"', '"\\udc00\\ud800"', "9" * 5_000)
"""JSON that `json.dumps` does not write, some of which is not JSON."""
MARK: Final = "\ue000literal\ue001"
MARKS: Final = re.compile(f"{re.escape(json.dumps(MARK))}|{re.escape(json.dumps(MARK, ensure_ascii=False))}")
NAMES: Final = (
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "X-Actor",
    "X-Request-ID",
    "Last-Event-ID",
    "Cookie",
    "Origin",
    "Referer",
    "Sec-Fetch-Site",
    "traceparent",
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Content-Encoding",
    "Forwarded",
    "X-Forwarded-For",
    "HX-Request",
    "HX-Target",
    "HX-Current-URL",
    "Range",
    "If-Modified-Since",
    "Access-Control-Request-Method",
)
COOKIES: Final = ("tocsin_filters", "tocsin_actor", "tocsin_theme", "tocsin_keys", "x")


def cursor(rng: Random) -> str:
    """Return what looks like a cursor."""
    text = rng.choice((f"{rng.choice(EDGES)}|{rng.choice(IDS)}", "|", "[1,2]", rng.choice(TEXTS[:30]), "\x00\xff"))
    encoded = base64.urlsafe_b64encode(text.encode()).decode()
    return rng.choice(("", "critical.", "low.", ".", "9" * 30)) + rng.choice(
        (encoded, encoded.rstrip("="), encoded[1:])
    )


def text(rng: Random) -> str:
    """Return a hostile text."""
    return cursor(rng) if rng.random() < 0.1 else rng.choice(TEXTS)


def value(rng: Random) -> Any:
    """Return a hostile value of a JSON document."""
    kind = rng.randrange(12)
    if kind < 5:
        return text(rng)
    if kind < 7:
        return rng.choice(NUMBERS)
    if kind < 9:
        return rng.choice((None, True, False, [], {}, [1, None], MARK, MARK))
    if kind == 9:
        return _nested(rng.choice((10, 100, 400)))
    if kind == 10:
        return [text(rng)[:300]] * rng.choice((1, 3, 17, 1_001))
    return {text(rng)[:300]: text(rng)[:300]} | {
        f"k{number}": number for number in range(rng.choice((0, 0, 129, 2_000)))
    }


def _nested(depth: int) -> Any:
    found: Any = 1
    for level in range(depth):
        found = [found] if level % 2 else {"a": found}
    return found


def document(given: Any, rng: Random) -> Any:
    """Return a copy of *given* with one hostile value, a field less, or one more."""
    if isinstance(given, dict) and given and rng.random() < 0.9:
        return _fields(given, rng)
    if isinstance(given, list) and given and rng.random() < 0.8:
        place = rng.randrange(len(given))
        changed = [*given[:place], document(given[place], rng), *given[place + 1 :]]
        repeated = changed * rng.choice((1, 1, 1, 1, 2, 50))
        return repeated if _fits(repeated) else changed
    if isinstance(given, str) and given and rng.random() < 0.3:
        place = rng.randrange(len(given))
        return given[:place] + text(rng)[:600] + given[place:]
    return value(rng)


def _fits(given: Any) -> bool:
    """Return whether *given* is not much larger than a body may be: lists repeated within lists would be gigabytes."""
    left, items = MAX_CHARACTERS, [given]
    while items and left > 0:
        item = items.pop()
        left -= len(item) + 1 if isinstance(item, str | list | dict) else 8
        if isinstance(item, dict):
            items += item.values()
        elif isinstance(item, list):
            items += item
    return left > 0


def _fields(given: dict[str, Any], rng: Random) -> dict[str, Any]:
    key = rng.choice(list(given))
    how = rng.random()
    if how < 0.1:
        return {name: item for name, item in given.items() if name != key}
    if how < 0.15:
        return given | {text(rng)[:300]: value(rng)}
    return given | {key: document(given[key], rng)}


def json_bytes(given: Any, rng: Random) -> bytes:
    """Return *given* as JSON, with literals that are not quite JSON where `value` has put a mark."""
    encoded = json.dumps(given, ensure_ascii=rng.random() < 0.5)
    return MARKS.sub(lambda _: rng.choice(LITERALS), encoded).encode(errors="surrogatepass")


def raw_bytes(given: bytes, rng: Random) -> bytes:
    """Return *given* with bytes that are changed, inserted, left out or repeated."""
    place = rng.randrange(len(given) + 1)
    length = rng.choice((1, 2, 8, 100))
    noise = rng.choice((b"\0", b"\xff", b"\xed\xa0\x80", b'"', b"{", b"[" * 300, b",", b"\\u0000", b"\\ud800", b"&=%"))
    return rng.choice(
        (
            given[:place] + noise + given[place:],
            given[:place] + noise + given[place + length :],
            given[:place] + given[place + length :],
            given[:place],
            given[:place] + given[place : place + length] * 3 + given[place + length :],
            b"",
            b"\xef\xbb\xbf" + given,
        )
    )


def quoted(given: str, rng: Random, *, safe: str = "") -> str:
    """Return *given* percent-encoded, sometimes with bytes that are not UTF-8."""
    encoded = quote(given, safe=safe, errors="replace")
    noise = rng.choice(("%00", "%FF", "%ED%A0%80", "%", "%zz", "+", "%2F", "%2e%2e", "%0d%0a"))
    return encoded + noise if rng.random() < 0.05 else encoded


def header(rng: Random) -> tuple[str, bytes]:
    """Return a header with a hostile value; only line breaks and NUL are left out, which the parser refuses."""
    name = rng.choice(NAMES)
    if name == "Content-Type":
        kinds = (b"text/plain", b"application/json; charset=utf-16", b"multipart/form-data", b";;", b"a/b; x=\xff")
        return name, rng.choice(kinds)
    given = text(rng).encode(errors="replace")[:4_000]
    if name == "Cookie":
        given = b"%b=%b" % (rng.choice(COOKIES).encode(), given.replace(b";", b""))
    if rng.random() < 0.1:
        given += b"\xff\xed\xa0\x80"
    return name, bytes(byte for byte in given if byte >= 32 and byte != 127)
