// Keys typed while a list or a map of seats has the focus: "14C" moves to that seat.

const FORGOTTEN_AFTER_MS = 1500;
const OF_A_SEAT = /^[0-9a-z]$/i;

export class TypeAhead {
  #text = "";
  #last = 0;
  #onText;

  /** @param {(text: string) => void} onText called with all text typed within a short time, in capitals */
  constructor(onText) {
    this.#onText = onText;
  }

  /** Handle a keydown event that no other listener has handled. */
  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || !OF_A_SEAT.test(event.key)) return;
    if (event.timeStamp - this.#last > FORGOTTEN_AFTER_MS) this.#text = "";
    this.#last = event.timeStamp;
    this.#text += event.key.toUpperCase();
    this.#onText(this.#text);
  }
}
