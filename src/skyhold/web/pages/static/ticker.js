// A line with other customers' actions on this flight, which shows that the cabin is live.
//
// It is not read out: it would interrupt a screen reader all the time.

import { show } from "./dom.js";
import { areFor, list } from "./words.js";

const VERBS = { reserved: "put on hold", booked: "sold", available: "free again" };
const NAMED = 3;
const PAUSE_MS = 1_500;
const FADES_AFTER_MS = 12_000;

export class Ticker {
  #news = new Map();
  #timer = 0;
  #fade = 0;

  /** @param {HTMLElement} line */
  constructor(line) {
    this.line = line;
  }

  /** Show seats that others took, bought or released; changes close together are shown together. */
  tell(seats) {
    for (const { id, status } of seats) if (VERBS[status]) this.#news.set(id, status);
    if (this.#news.size && !this.#timer) this.#draw();
  }

  #draw() {
    const [[, verb]] = this.#news;
    const ids = [...this.#news].filter(([, status]) => status === verb).map(([id]) => id);
    for (const id of ids) this.#news.delete(id);
    const who = ids.length > NAMED ? `${ids.length} seats` : list(ids);
    this.line.textContent = `${who} ${verb === "available" ? areFor(ids.length) : ids.length === 1 ? "was" : "were"} ${VERBS[verb]}`;
    show(this.line, true);
    clearTimeout(this.#fade);
    this.#fade = setTimeout(() => show(this.line, false), FADES_AFTER_MS);
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      if (this.#news.size) this.#draw();
    }, PAUSE_MS);
  }
}
