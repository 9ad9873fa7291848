// What is typed while a list or a map of seats has the focus: "14C" goes to that seat. Nothing else.

const FORGOTTEN_AFTER_MS = 1500;
const OF_A_SEAT = /^[0-9a-z]$/i;

export class TypeAhead {
  #text = "";
  #last = 0;
  #onText;

  /** @param {(text: string) => void} onText told of all that was typed within a short time, in capitals */
  constructor(onText) {
    this.#onText = onText;
  }

  /** Take a keydown event that nothing else wanted. */
  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || !OF_A_SEAT.test(event.key)) return;
    if (event.timeStamp - this.#last > FORGOTTEN_AFTER_MS) this.#text = "";
    this.#last = event.timeStamp;
    this.#text += event.key.toUpperCase();
    this.#onText(this.#text);
  }
}
