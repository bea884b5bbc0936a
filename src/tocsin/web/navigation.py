"""The pages that a visitor can go to from anywhere."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Entry:
    """One page in the navigation."""

    path: str
    icon: str
    word: str

    def holds(self, path: str) -> bool:
        """Say whether *path* is this page, or one below it."""
        return path == self.path or (self.path != "/" and path.startswith(self.path + "/"))


PAGES: Final = (
    Entry("/", "home", "Now"),
    Entry("/incidents", "list", "Incidents"),
    Entry("/alerts", "inbox", "Alerts"),
    Entry("/oncall", "calendar", "On call"),
    Entry("/notifications", "send", "Delivery"),
    Entry("/metrics-overview", "chart", "Metrics"),
)
SHORTCUTS: Final = (
    (("j", "k"), "Next, previous row"),
    (("Enter",), "Open the row"),
    (("a",), "Acknowledge"),
    (("r",), "Resolve"),
    (("e",), "Escalate now"),
    (("n",), "Write a note"),
    (("x",), "Select the row"),
    (("/",), "Search"),
    (("?",), "This list"),
    (("Ctrl", "K"), "Find a page or an action"),
)
"""What `static/keys.js` does."""
