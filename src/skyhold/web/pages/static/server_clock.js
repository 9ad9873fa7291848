// The time at the server. The reader's own clock may be hours off, so only elapsed time is taken from it.

/** A laptop that slept may have stopped `performance.now()`: then the two clocks of the browser drift by more than this. */
const SLEPT_MS = 500;

const OUTDATED_MS = 10 * 60_000;

export class ServerClock {
  /** @type {{offset: number, roundTrip: number, at: number, parting: number} | null} */
  #best = null;

  /**
   * Take the time of a reply: the server wrote `serverTime` between these two moments, most likely in the middle. The
   * quickest reply is the most exact, and counts until it is ten minutes old.
   *
   * @param {string} serverTime RFC 3339
   * @param {number} sentAt by `performance.now()`, as is `receivedAt`
   */
  observe(serverTime, sentAt, receivedAt) {
    const roundTrip = receivedAt - sentAt;
    const isBetter =
      !this.isKnown || roundTrip <= this.#best.roundTrip || receivedAt - this.#best.at > OUTDATED_MS;
    if (!isBetter) return;
    const offset = Date.parse(serverTime) - (sentAt + receivedAt) / 2;
    this.#best = { offset, roundTrip, at: receivedAt, parting: parting() };
  }

  /** True if an offset is known and still holds; not if the computer slept since. */
  get isKnown() {
    return this.#best !== null && Math.abs(parting() - this.#best.parting) < SLEPT_MS;
  }

  /** Milliseconds since 1970 at the server, by the last offset; without any, by the reader's own clock. */
  now() {
    return this.#best === null ? Date.now() : performance.now() + this.#best.offset;
  }
}

/** The difference of the two clocks of the browser; it stays the same while none is set, stopped or slept through. */
function parting() {
  return Date.now() - performance.now();
}

/** The one clock of a page: every reply updates it, every countdown reads it. */
export const serverClock = new ServerClock();
