// One event stream of the API, open while the page is visible: closed soon after it is left, open again on return.
//
// The browser reconnects by itself after a cut; after a refusal (503, 429) it never retries, so this class does.

import { at } from "./api.js";
import { presence } from "./presence.js";

/** A cut that is repaired within this time is not reported. */
const GRACE_MS = 1_500;

const PAUSES_MS = [1_000, 2_000, 4_000, 8_000, 15_000];

export class LiveStream {
  #source = null;
  #timer = 0;
  #failures = 0;
  #isEnded = false;
  #isLive = null;
  #grace = 0;

  /**
   * @param {string} path
   * @param {Record<string, (data: any) => void>} listeners by the name of the event; data is the parsed JSON
   * @param {{onState?: (isLive: boolean) => void}} [more] called when the stream is connected, and when it is cut off
   */
  constructor(path, listeners, { onState = () => {} } = {}) {
    this.url = at(path);
    this.listeners = listeners;
    this.onState = onState;
    this.reopen = () => this.#open();
    this.pause = () => this.#stop();
    this.cut = () => this.#tell(false);
    presence.addEventListener("wake", this.reopen);
    presence.addEventListener("away", this.pause);
    // A connection that was cut this way may stay silent for minutes before it breaks.
    addEventListener("offline", this.cut);
    this.#open();
  }

  /** Close the stream for good. */
  end() {
    this.#isEnded = true;
    presence.removeEventListener("wake", this.reopen);
    presence.removeEventListener("away", this.pause);
    removeEventListener("offline", this.cut);
    clearTimeout(this.#grace);
    this.#stop();
  }

  #open() {
    if (this.#isEnded || presence.isAway) return;
    this.#stop();
    const source = new EventSource(this.url);
    this.#source = source;
    source.addEventListener("open", () => this.#tell(true));
    source.addEventListener("error", () => this.#mend(source));
    for (const [name, listener] of Object.entries(this.listeners)) {
      source.addEventListener(name, (event) => {
        this.#failures = 0;
        listener(JSON.parse(event.data));
      });
    }
  }

  #mend(source) {
    if (source !== this.#source) return;
    this.#grace ||= setTimeout(() => this.#tell(false), GRACE_MS);
    if (source.readyState !== EventSource.CLOSED) return;
    const pause = PAUSES_MS[Math.min(this.#failures, PAUSES_MS.length - 1)];
    this.#failures += 1;
    // With jitter: after a restart of the server all open pages reconnect.
    this.#timer = setTimeout(this.reopen, pause * (0.75 + Math.random() / 2));
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #tell(isLive) {
    clearTimeout(this.#grace);
    this.#grace = 0;
    if (this.#isLive === isLive) return;
    this.#isLive = isLive;
    this.onState(isLive);
  }
}
