// Whether anyone is there: tells when the page was left for a while, and when it is looked at again.
//
// Browsers slow the timers of hidden pages to one a minute, and laptops sleep: whatever shows time or listens starts
// afresh on "wake".

/** Short: a browser has six connections to one origin over HTTP/1.1, for the streams of all its tabs together. */
const AWAY_AFTER_MS = 15_000;
const TICK_MS = 5_000;
const SLEPT_MS = 20_000;

class Presence extends EventTarget {
  /** Whether the page has been out of sight for so long that nobody waits for it, or was never in sight. */
  isAway = document.hidden;

  constructor() {
    super();
    let timer;
    document.addEventListener("visibilitychange", () => {
      clearTimeout(timer);
      if (document.hidden) timer = setTimeout(() => this.#leave(), AWAY_AFTER_MS);
      else this.#wake();
    });
    addEventListener("pageshow", (event) => event.persisted && this.#wake());
    // Who is away wakes when they come back: not every hidden tab at once because the network did.
    addEventListener("online", () => this.isAway || this.#wake());
    this.#noticeSleep();
  }

  #leave() {
    this.isAway = true;
    this.dispatchEvent(new Event("away"));
  }

  #wake() {
    this.isAway = false;
    this.dispatchEvent(new Event("wake"));
  }

  // A page in sight whose timers stood still was asleep with the whole computer.
  #noticeSleep() {
    let last = Date.now();
    setInterval(() => {
      const passed = Date.now() - last;
      last = Date.now();
      if (passed > SLEPT_MS && !document.hidden) this.#wake();
    }, TICK_MS);
  }
}

/** The one presence of a page: "wake" and "away". */
export const presence = new Presence();
