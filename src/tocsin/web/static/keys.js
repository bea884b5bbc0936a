// Keyboard shortcuts: move between rows, act on the focused one, and the command palette.

const ROWS = ".unacked, .rows > li, .table tbody tr";
const LINK = "h3 a, th a";
const PLACES = ".nav a, .page-head a.btn";
const ACTIONS = ".action-bar button, .theme button";

const main = document.getElementById("main");
const palette = document.getElementById("palette");
const field = palette.querySelector("input");
const list = palette.querySelector("ul");

const seen = (element) => element.checkVisibility();
const row = () => document.activeElement.closest(ROWS);
const first = (selector) => [...main.querySelectorAll(selector)].find(seen);

// ---- Single keys

function move(step) {
  const all = [...main.querySelectorAll(ROWS)].filter((each) => seen(each) && each.querySelector(LINK));
  const at = all.indexOf(row());
  const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + step, 0), all.length - 1)];
  next?.querySelector(LINK).focus();
}

// Acts on the focused row, else on the page's incident, else on the selection: never on a row that was not chosen.
function act(verb) {
  const button = `form[action$="/${verb}"] button`;
  (row()?.querySelector(button) ?? first(`.action-bar ${button}, .bulk button[value="${verb}"]`))?.click();
}

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  a: () => act("acknowledge"),
  r: () => act("resolve"),
  e: () => act("escalate"),
  n: () => first("#note textarea")?.focus(),
  x: () => row()?.querySelector("input[type=checkbox]")?.click(),
  "/": () => (first("input[type=search]") ?? document.getElementById("q"))?.focus(),
  "?": () => document.getElementById("keys").togglePopover(),
};

const writes = (element) =>
  element.matches("textarea, select, [contenteditable], input:not([type=checkbox], [type=radio], [type=submit])");

document.addEventListener("keydown", (event) => {
  if (event.isComposing || event.defaultPrevented || event.altKey) return;
  if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    if (palette.open) palette.close();
    else show();
    return;
  }
  if (event.ctrlKey || event.metaKey || palette.open || writes(event.target)) return;
  const run = document.body.hasAttribute("data-keys") && KEYS[event.key];
  if (!run) return;
  event.preventDefault(); // before a field gets the focus and the letter
  run();
});

// ---- The palette: every page, and every action of this one

let found = [],
  chosen = 0;

function find(text) {
  const words = (element) => [...element.childNodes].filter(({ nodeName }) => nodeName !== "KBD");
  const name = (element) =>
    words(element)
      .map(({ textContent }) => textContent)
      .join(" ")
      .replace(/\s+/g, " ")
      .trim();
  const all = [
    ...[...main.querySelectorAll(ACTIONS)].filter(seen).map((button) => [name(button), "Do", () => button.click()]),
    ...[...document.querySelectorAll(PLACES)].map((link) => [name(link), "Go to", () => link.click()]),
    ["Keyboard shortcuts", "Show", () => document.getElementById("keys").showPopover()],
  ];
  const wanted = text.toLowerCase();
  const matching = all.filter(([word]) => word.toLowerCase().includes(wanted));
  const number = /^#?([1-9]\d{0,17})$/.exec(text);
  if (number) matching.unshift([`Incident #${number[1]}`, "Go to", () => location.assign(`/incidents/${number[1]}`)]);
  const searchField = document.getElementById("q");
  if (text && searchField) {
    matching.push([
      `“${text}”`,
      "Search",
      () => {
        searchField.value = text;
        searchField.form.requestSubmit();
      },
    ]);
  }
  return matching;
}

function choose(index) {
  chosen = found.length ? (index + found.length) % found.length : 0;
  for (const [at, option] of [...list.children].entries()) option.setAttribute("aria-selected", at === chosen);
  const option = list.children[chosen];
  field.setAttribute("aria-activedescendant", option?.id ?? "");
  option?.scrollIntoView({ block: "nearest" });
}

function fill() {
  found = find(field.value.trim());
  list.replaceChildren(
    ...found.map(([word, kind], index) => {
      const option = document.createElement("li");
      const hint = document.createElement("span");
      option.id = `palette-${index}`;
      option.role = "option";
      hint.textContent = kind;
      option.append(word, hint);
      option.addEventListener("click", () => run(index));
      return option;
    }),
  );
  choose(0);
}

function run(index) {
  const wanted = found[index];
  palette.close();
  wanted?.[2]();
}

function show() {
  field.value = "";
  palette.showModal();
  fill();
}

field.addEventListener("input", fill);
field.addEventListener("keydown", (event) => {
  const step = { ArrowDown: () => choose(chosen + 1), ArrowUp: () => choose(chosen - 1), Enter: () => run(chosen) }[
    event.key
  ];
  if (!step) return;
  event.preventDefault();
  step();
});
palette.addEventListener("click", (event) => event.target === palette && palette.close());
