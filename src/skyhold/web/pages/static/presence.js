// The visibility of the page: dispatches "away" when it was hidden for a while, and "wake" when it is visible again.
//
// Browsers slow the timers of hidden pages to one a minute, and laptops sleep: code that shows time or listens
// restarts on "wake".

/** Short: a browser has six connections to one origin over HTTP/1.1, for the streams of all its tabs together. */
const AWAY_AFTER_MS = 15_000;
const TICK_MS = 5_000;
const SLEPT_MS = 20_000;

class Presence extends EventTarget {
  /** True if the page has been hidden for a while, or was never visible. */
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
    // A page that is away wakes when it is visible again: not all hidden tabs at once because the network is back.
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

  // If the timers of a visible page stood still, the computer slept.
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
