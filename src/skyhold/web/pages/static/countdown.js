// The time left of a hold: computed from its deadline whenever it is drawn, never counted down.

import { part } from "./dom.js";
import { presence } from "./presence.js";
import { serverClock } from "./server_clock.js";
import { count, digits } from "./words.js";

const AMBER_MS = 5 * 60_000;
const RED_MS = 2 * 60_000;
const SPOKEN_MINUTES = [5, 2, 1];
const UNDERWAY_MS = 2_000;

export class Countdown {
  #timer = 0;
  #deadline = null;
  #endedAt = null;
  #spoken = new Set();
  /** The whole time of the hold in milliseconds; `share` refers to it. */
  whole = 1;

  /**
   * @param {{onDraw: (left: {milliseconds: number, digits: string, share: number, mood: "" | "amber" | "red"}) => void,
   *   onSay?: (text: string, when?: {isStart?: boolean}) => void, onEnd?: () => void}} listeners `share` is the part of
   *   the whole time that is left, 0 to 1
   */
  constructor({ onDraw, onSay = () => {}, onEnd = () => {} }) {
    this.onDraw = onDraw;
    this.onSay = onSay;
    this.onEnd = onEnd;
    presence.addEventListener("wake", () => this.#deadline && this.#draw());
  }

  /**
   * Run to a deadline; the same one again changes nothing, also if it is over and `onEnd` was called.
   *
   * @param {string} expiresAt RFC 3339
   * @param {string} [startedAt] when the time began to run, which gives the whole time
   */
  runTo(expiresAt, startedAt) {
    const deadline = Date.parse(expiresAt);
    const isOver = deadline === this.#endedAt && deadline <= serverClock.now();
    if (deadline === this.#deadline || isOver) return;
    this.#deadline = deadline;
    this.#endedAt = null;
    this.whole = Math.max(1, deadline - (startedAt ? Date.parse(startedAt) : serverClock.now()));
    this.#spoken = new Set(SPOKEN_MINUTES.filter((minutes) => this.milliseconds <= minutes * 60_000));
    this.#draw();
    if (this.milliseconds > 0) this.onSay(`${spoken(this.milliseconds)} left to pay.`, { isStart: true });
  }

  /** Stop; nothing is drawn any longer. */
  stop() {
    clearTimeout(this.#timer);
    this.#deadline = null;
  }

  /** The time left, by the server's clock. */
  get milliseconds() {
    return this.#deadline === null ? 0 : Math.max(0, this.#deadline - serverClock.now());
  }

  /** The part of the whole time that is left, 0 to 1. */
  get share() {
    return Math.min(1, this.milliseconds / this.whole);
  }

  #draw() {
    clearTimeout(this.#timer);
    const left = this.milliseconds;
    const mood = left < RED_MS ? "red" : left < AMBER_MS ? "amber" : "";
    this.onDraw({ milliseconds: left, digits: digits(left), share: this.share, mood });
    if (left <= 0) {
      this.#endedAt = this.#deadline;
      this.#deadline = null;
      this.onEnd();
      return;
    }
    this.#speak(left);
    // To the moment at which the digits change, and a little beyond it.
    this.#timer = setTimeout(() => this.#draw(), (left % 1000 || 1000) + 5);
  }

  #speak(left) {
    const due = SPOKEN_MINUTES.filter((minutes) => left <= minutes * 60_000 && !this.#spoken.has(minutes));
    if (due.length === 0) return;
    due.forEach((minutes) => this.#spoken.add(minutes));
    this.onSay(`${count(Math.min(...due), "minute")} left to pay.`);
  }
}

/** Show the time left in a `.dial` or `.now`: its digits, its mood, and the sun in its window. */
export function drawDial(dial, { digits: text, share, mood }) {
  const clock = part(dial, "clock");
  if (clock.textContent !== text) clock.textContent = text;
  dial.classList.toggle("amber", mood === "amber");
  dial.classList.toggle("red", mood === "red");
  dial.querySelector(".pane").style.setProperty("--t", share.toFixed(4));
}

// The reply that grants fifteen minutes has taken some of that time: it is announced as 15, not as 14.
function spoken(milliseconds) {
  const minutes = Math.floor((milliseconds + UNDERWAY_MS) / 60_000);
  return minutes ? count(minutes, "minute") : count(Math.ceil(milliseconds / 1000), "second");
}
