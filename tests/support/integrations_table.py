"""The senders in `docs/api.md`: `python -m tests.support.integrations_table` writes the table anew."""

from pathlib import Path
from typing import Final

from tocsin.integrations import INTEGRATIONS, generic

PAGE: Final = Path(__file__).parents[2] / "docs" / "api.md"
BEGIN: Final = "<!-- senders: written by `make docs` -->\n"
END: Final = "<!-- end of senders -->\n"
URL: Final = "http://127.0.0.1:8080"


def render() -> str:
    """Return the table, and below it the set-up of each sender; that of the own format is an example of the page."""
    lines = ["| Sender | Address | `integration` |", "| --- | --- | --- |"]
    setups = []
    for integration in INTEGRATIONS.values():
        lines.append(f"| {integration.label} | `POST {integration.path}` | `{integration.name}` |")
        if integration.name != generic.NAME:
            setups += ["", f"### {integration.label}", "", integration.setup.replace("{url}", URL).rstrip()]
    return "\n".join([*lines, *setups, ""])


def written() -> str:
    """Return what the page has between its two marks."""
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text(encoding="utf-8").replace(written(), render()), encoding="utf-8")
