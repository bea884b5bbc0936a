// Formats times in the viewer's zone, by the rules of ui/format.py, and updates running times.

const MINUTE = 60,
  HOUR = 3600,
  DAY = 86400;
const two = (number) => String(number).padStart(2, "0");

export function duration(seconds, clockUnder = 0) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < clockUnder) return `${Math.floor(whole / MINUTE)}:${two(whole % MINUTE)}`;
  if (whole < MINUTE) return `${whole} s`;
  if (whole < HOUR) return `${Math.floor(whole / MINUTE)} min`;
  if (whole < DAY) return `${Math.floor(whole / HOUR)} h ${two(Math.floor((whole % HOUR) / MINUTE))}`;
  return `${Math.floor(whole / DAY)} d ${Math.floor((whole % DAY) / HOUR)} h`;
}

export const timer = (seconds) => duration(seconds, HOUR);

const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const minute = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const zone = { timeZoneName: "short" };
const format = (options) => new Intl.DateTimeFormat("en-GB", options);
const formats = {
  clock: format(clock),
  minute: format(minute),
  zoned: format({ ...clock, ...zone }),
  weekday: format({ weekday: "short", ...minute }),
  weekdayZoned: format({ weekday: "short", ...minute, ...zone }),
  day: format({ weekday: "short", day: "numeric", month: "short", ...minute, ...zone }),
  full: format({ weekday: "short", day: "numeric", month: "short", year: "numeric", ...clock, ...zone }),
};

export function local(date, as) {
  // en-GB puts a comma after the weekday; the pages do not.
  return formats[as].format(date).replace(/^([A-Z][a-z]{2}),/, "$1");
}

const wholeMinute = { dateStyle: "short", timeStyle: "short" };
const clocks = new Map([["", format(wholeMinute)]]); // by time zone; the viewer's has no name

// Whether clocks in the time zone `name` show something else than the viewer's at `date`.
function differs(date, name) {
  if (!clocks.has(name)) {
    try {
      clocks.set(name, format({ ...wholeMinute, timeZone: name }));
    } catch {
      return true; // a zone that this browser does not know
    }
  }
  return clocks.get(name).format(date) !== clocks.get("").format(date);
}

// The server's clock minus ours, in milliseconds: when the page was rendered, and when it arrived.
const navigation = performance.getEntriesByType("navigation")[0];
const arrived = performance.timeOrigin + (navigation ? navigation.responseStart : performance.now());
const ahead = Date.parse(document.documentElement.dataset.now) - arrived;

export const serverNow = () => Date.now() + ahead;

// Updates the times in `root`; countdowns stop if `counting` is false.
export function write(root, counting) {
  const now = serverNow();
  for (const element of root.querySelectorAll("time[data-as][datetime]:not([data-since])")) {
    const date = new Date(element.dateTime);
    const named = element.dataset.zone && differs(date, element.dataset.zone);
    set(element, local(date, named ? `${element.dataset.as}Zoned` : element.dataset.as));
  }
  for (const element of root.querySelectorAll("time[data-since]")) {
    const seconds = (now - Date.parse(element.dataset.since)) / 1000;
    set(element, element.dataset.as === "duration" ? duration(seconds) : timer(seconds));
  }
  if (!counting) return;
  for (const element of root.querySelectorAll("[data-until]")) {
    const seconds = (Date.parse(element.dataset.until) - now) / 1000;
    if (element instanceof HTMLProgressElement) element.value = Math.max(0, seconds);
    else set(element, seconds > 0 ? `in ${timer(seconds)}` : "now");
  }
}

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
