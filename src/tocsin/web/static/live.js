// Keeps a page up to date: on an event of the stream, htmx fetches the page's blocks and swaps them.

import { Stream } from "./stream.js";
import { local, serverNow, write } from "./times.js";
import htmx from "./vendor/htmx.esm.min.js";

const BETWEEN_REFRESHES = 800,
  IN_BACKGROUND = 10000,
  WITHOUT_EVENTS = 30000,
  IN_OUTAGE = 4000;
const AT_ONCE = 2; // refreshes without a pause after a quiet time
const SHOWN_AFTER = 3000; // a shorter interruption is not shown
const SETTLE = 700; // how long a block whose buttons changed ignores clicks: a finger may be on its way
const SPOKEN = { acknowledged: "is acknowledged", in_progress: "is being worked on", resolved: "is resolved" };

const main = document.getElementById("main");
const dot = document.getElementById("live");
const word = document.getElementById("live-word");
const clock = document.getElementById("clock");
const waiting = document.getElementById("waiting");
const spoken = document.getElementById("spoken");
const OF_THIS_PAGE = Number(main.dataset.pause) || BETWEEN_REFRESHES; // some pages are expensive

let state = "connecting",
  downSince = null,
  downTimer = 0,
  ticker = 0;
let refreshTimer = 0,
  refreshedAt = 0,
  allowance = AT_ONCE,
  forced = false,
  pressed = null,
  acting = 0;

// ---- The indicator in the header

const degraded = () => document.querySelector("#notices .capabilities") !== null;

function show() {
  const outage = degraded();
  dot.className = `live ${state === "down" ? "fail" : state === "connecting" ? "mute" : outage ? "wait" : "ok"}`;
  const text = {
    connecting: "Connecting",
    live: outage ? "Partly live" : "Live",
    down: downSince && `Reconnecting since ${local(new Date(downSince), "clock")}, countdowns stopped`,
  }[state];
  if (word.textContent !== text) word.textContent = text;
}

function goDown(since) {
  downSince ??= since + serverNow() - Date.now();
  downTimer ||= setTimeout(
    () => {
      state = "down";
      show();
    },
    SHOWN_AFTER - (Date.now() - since),
  );
}

function goLive() {
  clearTimeout(downTimer);
  downTimer = 0;
  downSince = null;
  state = "live";
  show();
}

// ---- The stream: one per browser, in a shared worker; without shared workers one per visible tab

function connect() {
  if (!("SharedWorker" in window)) return connectAlone();
  const worker = new SharedWorker(new URL("worker.js", import.meta.url), { type: "module", name: "tocsin" });
  worker.addEventListener("error", connectAlone); // no modules in workers
  worker.port.addEventListener("message", ({ data }) => onMessage(data));
  worker.port.start();
  addEventListener("pagehide", () => worker.port.postMessage("going"));
  addEventListener("pageshow", (event) => event.persisted && location.reload());
}

function connectAlone() {
  const stream = new Stream(main.dataset.stream, onMessage);
  const follow = () => (document.hidden ? stream.close() : stream.open());
  document.addEventListener("visibilitychange", follow);
  follow();
}

function onMessage({ kind, since, event }) {
  if (kind === "down") goDown(since);
  else if (kind === "incident") onEvent(event);
  else {
    goLive();
    refresh(); // events before this page connected
  }
}

function onEvent(event) {
  const created = event.event_type === "created";
  const changed = ["acknowledged", "status_changed", "resolved"].includes(event.event_type);
  const elsewhere = main.dataset.incident && event.incident_id !== main.dataset.incident;
  if (elsewhere && !created && !changed) return; // nothing on this page depends on it, not even the count
  if (created) spoken.textContent = `Incident ${event.number}, ${event.severity}, is new.`;
  else if (changed && !elsewhere) spoken.textContent = `Incident ${event.number} ${SPOKEN[event.status]}.`;
  refresh();
}

// ---- Refreshing: within a second of an event, and about once a second in a storm

function refresh() {
  if (refreshTimer) return;
  const interval = degraded() ? BETWEEN_REFRESHES : OF_THIS_PAGE;
  const pause = Math.max(interval, document.hidden ? IN_BACKGROUND : 0);
  const allowed = () => Math.min(AT_ONCE, allowance + (performance.now() - refreshedAt) / pause);
  refreshTimer = setTimeout(
    () => {
      refreshTimer = 0;
      if (acting) return; // its end refreshes
      allowance = allowed() - 1;
      refreshedAt = performance.now();
      htmx.trigger(main, "refresh");
    },
    Math.max(0, 1 - allowed()) * pause + Math.random() * 100,
  ); // spread the requests of a thousand pages
}

// ---- Swapping: a block that somebody points at, types in or reads is left as it is

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

// The response to a click stays until the next one.
function keepRejection({ target, fragment }) {
  const notice = target?.id === "notices" && target.querySelector(".rejection");
  if (notice) fragment.firstElementChild.prepend(notice.cloneNode(true));
}

function prepare({ target, fragment }) {
  write(fragment, state === "live");
  for (const details of fragment.querySelectorAll("details[id]")) {
    details.open = document.getElementById(details.id)?.open ?? false;
  }
  for (const incident of fragment.querySelectorAll(".unacked")) {
    if (!document.getElementById(incident.id)) incident.classList.add("flash");
  }
  if (target?.id === "actions" && rows(target) !== rows(fragment)) {
    fragment.firstElementChild.inert = true; // on the new element: the swap copies its attributes
    setTimeout(() => {
      document.getElementById("actions").inert = false;
    }, SETTLE);
  }
}

// The text of an element, without what changes in the browser: times, and the number of selected rows.
function readable(root) {
  const copy = root.cloneNode(true);
  for (const element of copy.querySelectorAll("time, .countdown, [aria-live]")) element.remove();
  return copy.textContent.replace(/\s+/g, " ").trim();
}

function announce(kept) {
  const added = kept.flatMap(({ target, fragment }) =>
    [...fragment.querySelectorAll("article[id], li[id], tr[id]")].filter(({ id }) => !target.querySelector(`#${id}`)),
  );
  waiting.hidden = kept.length === 0;
  waiting.firstElementChild.textContent = added.length ? `Show ${added.length} new` : "Show changes";
}

document.addEventListener("htmx:before:swap", (event) => {
  const { ctx, tasks } = event.detail;
  if (ctx.sourceElement === main) {
    if (ctx.response.status >= 400) {
      event.preventDefault();
      return;
    }
    tasks.forEach(keepRejection);
    const kept = forced ? [] : tasks.filter((task) => task.target && busy(task));
    forced = false;
    announce(kept.filter(({ target, fragment }) => readable(target) !== readable(fragment)));
    tasks.splice(0, tasks.length, ...tasks.filter((task) => !kept.includes(task)));
  }
  tasks.forEach(prepare);
});

document.addEventListener("htmx:after:swap", (event) => {
  const { ctx } = event.detail;
  document.title = document.getElementById("head")?.dataset.title ?? document.title;
  show();
  if (ctx.sourceElement === main) return;
  if (ctx.response.status < 400 && ctx.sourceElement.id === "note") clearNote(ctx.sourceElement);
  document.getElementById("who")?.focus();
  if (document.activeElement === document.body) main.focus({ preventScroll: true });
});

function clearNote(form) {
  form.elements.text.value = "";
  // The same text again is another note: it needs a new key.
  form.elements.key.value = `${Date.now()}-${Math.random()}`;
}

// A click shows at once that the action is in progress.
const IN_PROGRESS = { acknowledge: "Acknowledging", start: "Starting", resolve: "Resolving", escalate: "Escalating" };

function inProgress(form) {
  const word = IN_PROGRESS[form.getAttribute("action")?.split("/").at(-1)];
  const text =
    word && [...form.querySelector("button").childNodes].findLast((node) => node.nodeType === 3 && node.data.trim());
  if (!text) return;
  form.inProgress = [text, text.data];
  text.data = word;
}

function settle(form) {
  const [text, before] = form.inProgress ?? [];
  delete form.inProgress;
  if (text && Object.values(IN_PROGRESS).includes(text.data)) text.data = before;
}

// A response requested before an action must not be shown after it.
document.addEventListener("htmx:before:request", (event) => {
  const { sourceElement } = event.detail.ctx;
  if (sourceElement === main) return;
  acting++;
  htmx.trigger(main, "htmx:abort");
  inProgress(sourceElement);
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

// ---- Input

const refreshIfWaiting = () => waiting.hidden || refresh();
document.addEventListener(
  "pointerdown",
  (event) => {
    pressed = event.target;
  },
  { passive: true },
);
for (const name of ["pointerup", "pointercancel"]) {
  document.addEventListener(name, () => {
    pressed = null;
    refreshIfWaiting();
  });
}
document.addEventListener("focusout", refreshIfWaiting);
document.addEventListener("scrollend", refreshIfWaiting);
waiting.addEventListener("click", () => {
  forced = true;
  waiting.hidden = true;
  refresh();
});
document.addEventListener("visibilitychange", () => {
  follow();
  if (!document.hidden) refresh();
});

// ---- Time: ticks while the tab is visible

function tick() {
  clock.textContent = local(new Date(serverNow()), "zoned");
  write(document, state === "live" || !main.dataset.stream);
  const pause = state === "live" && !degraded() ? WITHOUT_EVENTS : IN_OUTAGE;
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
