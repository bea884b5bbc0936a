// Keeps a page up to date: the event stream says that something changed, htmx fetches the page's blocks and swaps them.
// The stream is the browser's own EventSource: htmx's extension gives up for good when its first connection is refused.

import { local, serverNow, write } from "./times.js";

const BETWEEN_REFRESHES = 1000, IN_BACKGROUND = 10000, WITHOUT_NEWS = 30000, WHILE_DOWN = 10000;
const SETTLE = 700; // for how long a block whose buttons changed takes no click: a finger may be on its way
const SPOKEN = { acknowledged: "is acknowledged", in_progress: "is being worked on", resolved: "is resolved" };

const main = document.getElementById("main");
const dot = document.getElementById("live");
const word = document.getElementById("live-word");
const clock = document.getElementById("clock");
const waiting = document.getElementById("waiting");
const spoken = document.getElementById("spoken");

let state = "connecting", downSince = null, attempts = 0, stream = null;
let refreshTimer = 0, refreshedAt = -Infinity, forced = false, pressed = null, acting = 0;

// ---- The sign in the header

function show() {
  const away = document.querySelector("#notices .works") !== null;
  dot.className = `live ${state === "down" ? "fail" : state === "connecting" ? "mute" : away ? "wait" : "ok"}`;
  const text = {
    connecting: "Connecting",
    live: away ? "Partly live" : "Live",
    down: downSince && `Reconnecting since ${local(new Date(downSince), "clock")}, timers stopped`,
  }[state];
  if (word.textContent !== text) word.textContent = text;
}

function goDown() {
  if (state !== "down") downSince = serverNow();
  state = "down";
  show();
}

function goLive() {
  state = "live";
  attempts = 0;
  show();
}

// ---- The stream

function connect() {
  stream = new EventSource(main.dataset.stream);
  stream.addEventListener("open", () => {
    goLive();
    refresh();
  });
  stream.addEventListener("incident", (message) => heard(JSON.parse(message.data)));
  stream.addEventListener("error", () => {
    goDown();
    // A connection that breaks off is opened again by the browser; one that was refused is not.
    if (stream.readyState === EventSource.CLOSED) {
      setTimeout(connect, Math.min(15000, 1000 * 2 ** attempts++) * (0.5 + Math.random()));
    }
  });
}

function heard(event) {
  const here = main.dataset.incident;
  if (here && event.incident_id !== here) return;
  if (event.event_type === "created") spoken.textContent = `Incident ${event.number}, ${event.severity}, is new.`;
  else if (["acknowledged", "status_changed", "resolved"].includes(event.event_type)) {
    spoken.textContent = `Incident ${event.number} ${SPOKEN[event.status]}.`;
  }
  refresh();
}

// ---- Refreshing: at most once a second, however much happens

function refresh() {
  if (refreshTimer) return;
  const pause = document.hidden ? IN_BACKGROUND : BETWEEN_REFRESHES;
  const wait = Math.max(0, refreshedAt + pause - performance.now());
  refreshTimer = setTimeout(() => {
    refreshTimer = 0;
    if (acting) return; // the end of the action refreshes
    refreshedAt = performance.now();
    htmx.trigger(main, "refresh");
  }, wait + Math.random() * 100); // so that a thousand pages do not ask in the same millisecond
}

// ---- Swapping: never under a finger

const rows = (root) =>
  [...root.querySelectorAll("article[id], li[id], tr[id], form[action]")].map((row) => row.id || row.action).join();

function busy({ target, fragment }) {
  const active = document.activeElement;
  const inside = active !== document.body && target.contains(active);
  if (inside && active.matches("input, textarea, select")) return true;
  const selection = document.getSelection();
  if (!selection.isCollapsed && target.contains(selection.anchorNode)) return true;
  if (rows(target) === rows(fragment)) return false;
  const scrolledInto = target.getBoundingClientRect().top < 0;
  return inside || scrolledInto || target.matches(":hover:has(form)") || (pressed !== null && target.contains(pressed));
}

function prepare({ target, fragment }) {
  write(fragment, state === "live");
  for (const details of fragment.querySelectorAll("details[id]")) {
    details.open = document.getElementById(details.id)?.open ?? false;
  }
  for (const ring of fragment.querySelectorAll(".ring")) {
    if (!document.getElementById(ring.id)) ring.classList.add("flash");
  }
  if (target?.id === "actions" && rows(target) !== rows(fragment)) {
    fragment.firstElementChild.inert = true; // on what comes: the swap copies its attributes
    setTimeout(() => (document.getElementById("actions").inert = false), SETTLE);
  }
}

document.addEventListener("htmx:before:swap", (event) => {
  const { ctx, tasks } = event.detail;
  if (ctx.sourceElement === main) {
    if (ctx.response.status >= 400) {
      event.preventDefault();
      return;
    }
    const kept = forced ? [] : tasks.filter((task) => task.target && busy(task));
    forced = false;
    waiting.hidden = kept.length === 0;
    tasks.splice(0, tasks.length, ...tasks.filter((task) => !kept.includes(task)));
  }
  tasks.forEach(prepare);
});

document.addEventListener("htmx:after:swap", (event) => {
  const { ctx } = event.detail;
  document.title = document.getElementById("head")?.dataset.title ?? document.title;
  show();
  if (ctx.sourceElement === main) {
    // The browser's own reconnection may still wait; what was fetched is true now.
    if (stream?.readyState === EventSource.OPEN) goLive();
    return;
  }
  if (ctx.response.status < 400 && ctx.sourceElement.id === "note") written(ctx.sourceElement);
  if (document.activeElement === document.body) main.focus({ preventScroll: true });
});

function written(form) {
  form.elements.text.value = "";
  // Another note of the same words is another note: it needs a key of its own.
  form.elements.key.value = `${Date.now()}-${Math.random()}`;
}

// What was fetched before a person acted must not be shown after it.
document.addEventListener("htmx:before:request", (event) => {
  if (event.detail.ctx.sourceElement === main) return;
  acting++;
  htmx.trigger(main, "htmx:abort");
});
document.addEventListener("htmx:finally:request", (event) => {
  if (event.detail.ctx.sourceElement === main) return;
  acting--;
  refresh();
});

document.addEventListener("htmx:error", (event) => {
  const { ctx } = event.detail;
  if (ctx?.sourceElement === main) goDown();
  else if (ctx && !ctx.response) {
    document.getElementById("notices").replaceChildren(document.getElementById("unsent").content.cloneNode(true));
  }
});

// ---- What a person does

const settled = () => waiting.hidden || refresh();
document.addEventListener("pointerdown", (event) => (pressed = event.target), { passive: true });
for (const name of ["pointerup", "pointercancel"]) {
  document.addEventListener(name, () => {
    pressed = null;
    settled();
  });
}
document.addEventListener("focusout", settled);
document.addEventListener("scrollend", settled);
waiting.addEventListener("click", () => {
  forced = true;
  waiting.hidden = true;
  refresh();
});
document.addEventListener("visibilitychange", () => document.hidden || refresh());

// ---- Time

function tick() {
  clock.textContent = local(new Date(serverNow()), "zoned");
  write(document, state === "live");
  const pause = state === "live" ? WITHOUT_NEWS : WHILE_DOWN;
  if (!document.hidden && performance.now() - refreshedAt > pause) refresh();
}

if (main.dataset.stream) {
  show();
  connect();
  setInterval(tick, 1000);
  tick();
} else {
  write(document, true);
  clock.textContent = local(new Date(serverNow()), "zoned");
}
