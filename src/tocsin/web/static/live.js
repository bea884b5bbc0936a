// Keeps a page up to date: the event stream says that something changed, htmx fetches the page's blocks and swaps them.

import htmx from "./vendor/htmx.esm.min.js";
import { Stream } from "./stream.js";
import { local, serverNow, write } from "./times.js";

const BETWEEN_REFRESHES = 800, IN_BACKGROUND = 10000, WITHOUT_NEWS = 30000, WHILE_AWAY = 10000;
const AT_ONCE = 2; // so many refreshes need no pause after a quiet time
const PATIENCE = 3000; // a connection that is back by then was not worth a word
const SETTLE = 700; // for how long a block whose buttons changed takes no click: a finger may be on its way
const SPOKEN = { acknowledged: "is acknowledged", in_progress: "is being worked on", resolved: "is resolved" };

const main = document.getElementById("main");
const dot = document.getElementById("live");
const word = document.getElementById("live-word");
const clock = document.getElementById("clock");
const waiting = document.getElementById("waiting");
const spoken = document.getElementById("spoken");
const OF_THIS_PAGE = Number(main.dataset.pause) || BETWEEN_REFRESHES; // some pages cost the services more

let state = "connecting", downSince = null, downTimer = 0, ticker = 0;
let refreshTimer = 0, refreshedAt = 0, saved = AT_ONCE, forced = false, pressed = null, acting = 0, refreshing = false;

// ---- The sign in the header

const degraded = () => document.querySelector("#notices .works") !== null;

function show() {
  const away = degraded();
  dot.className = `live ${state === "down" ? "fail" : state === "connecting" ? "mute" : away ? "wait" : "ok"}`;
  const text = {
    connecting: "Connecting",
    live: away ? "Partly live" : "Live",
    down: downSince && `Reconnecting since ${local(new Date(downSince), "clock")}, timers stopped`,
  }[state];
  if (word.textContent !== text) word.textContent = text;
}

function goDown(since) {
  downSince ??= since + serverNow() - Date.now();
  downTimer ||= setTimeout(() => {
    state = "down";
    show();
  }, PATIENCE - (Date.now() - since));
}

function goLive() {
  clearTimeout(downTimer);
  downTimer = 0;
  downSince = null;
  state = "live";
  show();
}

// ---- The stream: the browser's one, in a shared worker; where there is none, this tab's own while it is seen

function connect() {
  if (!("SharedWorker" in window)) return connectAlone();
  const worker = new SharedWorker(new URL("worker.js", import.meta.url), { type: "module", name: "tocsin" });
  worker.addEventListener("error", connectAlone); // a browser that cannot load modules there
  worker.port.addEventListener("message", ({ data }) => hear(data));
  worker.port.start();
  addEventListener("pagehide", () => worker.port.postMessage("going"));
  addEventListener("pageshow", (event) => event.persisted && location.reload());
}

function connectAlone() {
  const stream = new Stream(main.dataset.stream, hear);
  const follow = () => (document.hidden ? stream.close() : stream.open());
  document.addEventListener("visibilitychange", follow);
  follow();
}

function hear({ kind, since, event }) {
  if (kind === "down") goDown(since);
  else if (kind === "incident") heard(event);
  else {
    goLive();
    refresh(); // what happened before this page followed
  }
}

function heard(event) {
  const created = event.event_type === "created";
  const changed = ["acknowledged", "status_changed", "resolved"].includes(event.event_type);
  const elsewhere = main.dataset.incident && event.incident_id !== main.dataset.incident;
  if (elsewhere && !created && !changed) return; // it changes nothing on this page, not even how many wait
  if (created) spoken.textContent = `Incident ${event.number}, ${event.severity}, is new.`;
  else if (changed && !elsewhere) spoken.textContent = `Incident ${event.number} ${SPOKEN[event.status]}.`;
  refresh();
}

// ---- Refreshing: what happens is seen within a second, and a storm is fetched about once a second

function refresh() {
  if (refreshTimer) return;
  const awaited = degraded() ? BETWEEN_REFRESHES : OF_THIS_PAGE;
  const pause = Math.max(awaited, document.hidden ? IN_BACKGROUND : 0);
  const allowed = () => Math.min(AT_ONCE, saved + (performance.now() - refreshedAt) / pause);
  refreshTimer = setTimeout(() => {
    refreshTimer = 0;
    if (acting) return; // the end of the action refreshes
    saved = allowed() - 1;
    refreshedAt = performance.now();
    htmx.trigger(main, "refresh");
  }, Math.max(0, 1 - allowed()) * pause + Math.random() * 100); // so that a thousand pages do not ask in the same millisecond
}

// ---- Swapping: never under a finger

const rows = (root) =>
  [...root.querySelectorAll("article[id], li[id], tr[id], form[action]")].map((row) => row.id || row.action).join();

function busy({ target, fragment }) {
  const active = document.activeElement;
  const inside = active !== document.body && target.contains(active);
  if (inside && active.matches("input, textarea, select")) return true;
  if (target.querySelector("details.menu[open], input[type=checkbox]:checked")) return true;
  const selection = document.getSelection();
  if (!selection.isCollapsed && target.contains(selection.anchorNode)) return true;
  if (rows(target) === rows(fragment)) return false;
  const scrolledInto = target.getBoundingClientRect().top < 0;
  return inside || scrolledInto || target.matches(":hover:has(form)") || (pressed !== null && target.contains(pressed));
}

function prepare({ target, fragment }) {
  write(fragment, state === "live");
  const told = target?.id === "notices" && refreshing && target.querySelector(".refused");
  if (told) fragment.firstElementChild.prepend(told.cloneNode(true)); // it answers a click, and stays until the next
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

// What a person would read there, without what goes on in the browser: times, and how much is chosen.
function readable(root) {
  const copy = root.cloneNode(true);
  for (const element of copy.querySelectorAll("time, .fuse, [aria-live]")) element.remove();
  return copy.textContent.replace(/\s+/g, " ").trim();
}

function announce(kept) {
  const added = kept.flatMap(({ target, fragment }) =>
    [...fragment.querySelectorAll("article[id], li[id], tr[id]")].filter(({ id }) => !target.querySelector(`#${id}`)));
  waiting.hidden = kept.length === 0;
  waiting.firstElementChild.textContent = added.length ? `${added.length} new, show` : "Something changed, show it";
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
    announce(kept.filter(({ target, fragment }) => readable(target) !== readable(fragment)));
    tasks.splice(0, tasks.length, ...tasks.filter((task) => !kept.includes(task)));
  }
  refreshing = ctx.sourceElement === main;
  tasks.forEach(prepare);
});

document.addEventListener("htmx:after:swap", (event) => {
  const { ctx } = event.detail;
  document.title = document.getElementById("head")?.dataset.title ?? document.title;
  show();
  if (ctx.sourceElement === main) {
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

// A click shows itself at once, as under way: it is done when the answer says so.
const UNDER_WAY = { acknowledge: "Acknowledging", start: "Starting", resolve: "Resolving", escalate: "Escalating" };

function underWay(form) {
  const word = UNDER_WAY[form.getAttribute("action")?.split("/").at(-1)];
  const text = word && [...form.querySelector("button").childNodes].findLast((node) => node.nodeType === 3 && node.data.trim());
  if (!text) return;
  form.underWay = [text, text.data];
  text.data = word;
}

function settle(form) {
  const [text, before] = form.underWay ?? [];
  delete form.underWay;
  if (text && Object.values(UNDER_WAY).includes(text.data)) text.data = before;
}

// What was fetched before a person acted must not be shown after it.
document.addEventListener("htmx:before:request", (event) => {
  const { sourceElement } = event.detail.ctx;
  if (sourceElement === main) return;
  acting++;
  htmx.trigger(main, "htmx:abort");
  underWay(sourceElement);
});
document.addEventListener("htmx:finally:request", (event) => {
  const { sourceElement } = event.detail.ctx;
  if (sourceElement === main) return;
  settle(sourceElement);
  acting--;
  refresh();
});

document.addEventListener("htmx:error", (event) => {
  const { ctx } = event.detail;
  if (ctx && ctx.sourceElement !== main && !ctx.response) {
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
document.addEventListener("visibilitychange", () => {
  follow();
  if (!document.hidden) refresh();
});

// ---- Time: goes on while somebody looks

function tick() {
  clock.textContent = local(new Date(serverNow()), "zoned");
  write(document, state === "live" || !main.dataset.stream);
  const pause = state === "live" && !degraded() ? WITHOUT_NEWS : WHILE_AWAY;
  if (main.dataset.stream && performance.now() - refreshedAt > pause) refresh();
}

function follow() {
  clearInterval(ticker);
  if (document.hidden) return;
  ticker = setInterval(tick, 1000);
  tick();
}

follow();
if (main.dataset.stream) {
  show();
  connect();
}
