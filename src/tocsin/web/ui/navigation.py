"""The navigation and the keyboard shortcuts of every page."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class NavigationEntry:
    """One page in the navigation."""

    path: str
    icon: str
    label: str

    def contains(self, path: str) -> bool:
        """Return whether *path* is this page, or one below it."""
        return path == self.path or (self.path != "/" and path.startswith(self.path + "/"))


PAGES: Final = (
    NavigationEntry("/", "home", "Now"),
    NavigationEntry("/incidents", "list", "Incidents"),
    NavigationEntry("/alerts", "inbox", "Alerts"),
    NavigationEntry("/oncall", "calendar", "On call"),
    NavigationEntry("/notifications", "send", "Delivery"),
    NavigationEntry("/analytics", "chart", "Analytics"),
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
"""As in `static/keys.js`."""
