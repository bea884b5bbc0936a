// One connection to the event stream, resumed where it was interrupted. It lives in the browser's shared worker, or in
// a tab. The browser's own reconnection is not used: it gives up for good when a restarting server rejects it.

const CHECK_EVERY = 5000,
  SLEPT_AFTER = 15000, // without a check for so long, the machine was asleep
  LONGEST_WAIT = 3000; // half as long again at most

export class Stream {
  #url;
  #listener;
  #source = null;
  #last = "";
  #failures = 0;
  #timer = 0;
  #checkedAt = Date.now();

  // `listener` gets {kind: "live"}, {kind: "down", since} and {kind: "incident", event}; `since` is in milliseconds.
  constructor(url, listener) {
    this.#url = url;
    this.#listener = listener;
    // After sleep the connection is dead, possibly without an event.
    setInterval(() => {
      const slept = Date.now() - this.#checkedAt > SLEPT_AFTER;
      this.#checkedAt = Date.now();
      if (slept && (this.#source || this.#timer)) this.open();
    }, CHECK_EVERY);
    addEventListener("online", () => this.#timer && this.open());
  }

  open() {
    this.close();
    const source = new EventSource(
      this.#last ? `${this.#url}?last_event_id=${encodeURIComponent(this.#last)}` : this.#url,
    );
    this.#source = source;
    source.addEventListener("ready", (message) => {
      this.#last = message.lastEventId;
      this.#failures = 0;
      this.#listener({ kind: "live" });
    });
    source.addEventListener("incident", (message) => {
      this.#last = message.lastEventId;
      this.#listener({ kind: "incident", event: JSON.parse(message.data) });
    });
    source.addEventListener("error", () => {
      if (source !== this.#source) return;
      this.close();
      if (this.#failures === 0) this.#listener({ kind: "down", since: Date.now() });
      const wait = Math.min(LONGEST_WAIT, 250 * 2 ** this.#failures++) * (0.5 + Math.random());
      this.#timer = setTimeout(() => this.open(), wait);
    });
  }

  close() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#source?.close();
    this.#source = null;
  }
}
