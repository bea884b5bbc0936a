"""Parse a page: its text by element, its forms, and whether it is well formed."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final, Self

BLOCKS: Final = frozenset(
    {
        "p",
        "div",
        "li",
        "ul",
        "ol",
        "dl",
        "dt",
        "dd",
        "h1",
        "h2",
        "h3",
        "section",
        "article",
        "header",
        "tr",
        "td",
        "th",
        "form",
    }
)
"""Block elements: their text is separated from that of their neighbours."""
VOID: Final = frozenset({"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"})


@dataclass(slots=True)
class Form:
    """A form with the values that a browser sends if nothing is changed."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)
    """The values of its radio buttons, and of buttons that send one."""


class Html(HTMLParser):
    """A page or a fragment, parsed strictly: unclosed elements, stray end tags and duplicate ids are faults."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.forms: list[Form] = []
        self.attributes: list[tuple[str, dict[str, str]]] = []
        """Every element with its attributes, in order."""
        self._open: list[tuple[str, str | None]] = []
        self._texts: dict[str, list[str]] = {"": []}
        self._field = ""
        """The field whose value is being read."""

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse the whole of *text*."""
        page = cls()
        page.feed(text)
        page.close()
        page.faults += [f"<{tag}> is not closed" for tag, _ in page._open]
        return page

    def text(self, element_id: str = "") -> str:
        """Return the text of the element with this id, or of the whole page."""
        return re.sub(r"\s+", " ", "".join(self._texts[element_id])).strip()

    def has(self, element_id: str) -> bool:
        """Return whether there is an element with this id."""
        return element_id in self._texts

    def elements(self, tag: str) -> list[dict[str, str]]:
        """Return the attributes of each element of this kind."""
        return [given for name, given in self.attributes if name == tag]

    def form(self, action: str) -> Form:
        """Return the only form with this *action*."""
        (found,) = [form for form in self.forms if (form.action, form.method) == (action, "post")]
        return found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if len(given) != len(attrs):
            self.faults.append(f"<{tag}> has an attribute twice")
        self.attributes.append((tag, given))
        element_id = given.get("id")
        if element_id is not None:
            if element_id in self._texts:
                self.faults.append(f"the id {element_id} is given twice")
            self._texts[element_id] = []
        self._read_form(tag, given)
        if tag not in VOID:
            self._open.append((tag, element_id))
        if tag in BLOCKS:
            self.handle_data(" ")

    def _read_form(self, tag: str, given: dict[str, str]) -> None:
        if tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("method", "get")))
        if tag == "input" and self.forms and (given.get("type") != "radio" or "checked" in given):
            self.forms[-1].fields[given.get("name", "")] = given.get("value", "")
        if self.forms and given.get("name") and (given.get("type") == "radio" or tag == "button"):
            self.forms[-1].choices.setdefault(given["name"], []).append(given.get("value", ""))
        if tag in {"select", "textarea"} and self.forms:
            self._field = given.get("name", "")
            self.forms[-1].fields[self._field] = ""
        if tag == "option" and self.forms and self._field and ("selected" in given or not self._value()):
            self.forms[-1].fields[self._field] = given.get("value", "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def _value(self) -> str:
        return self.forms[-1].fields[self._field]

    def handle_endtag(self, tag: str) -> None:
        if tag in {"select", "textarea"}:
            self._field = ""
        if tag in BLOCKS:
            self.handle_data(" ")
        if self._open and self._open[-1][0] == tag:
            self._open.pop()
        else:
            self.faults.append(f"</{tag}> closes {self._open[-1:]}")

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][0] == "textarea" and self._field:
            self.forms[-1].fields[self._field] += data
        for _, element_id in self._open:
            if element_id is not None:
                self._texts[element_id].append(data)
        self._texts[""].append(data)
