// A flight's seats as a model: the place, price and status of each. No DOM, no network.

const OF_THE_LAYOUT = new Set(["window", "middle", "aisle", "exit_row"]);

/**
 * One seat. `x` is its distance from the left wall, in seats of the widest cabin, aisles counted; `tier` is the place
 * of its price among those of its cabin, 0 for the cheapest; `order` its place among all seats, by row and letter.
 *
 * @typedef {object} Seat
 * @property {string} id
 * @property {number} row
 * @property {string} column
 * @property {string} cabin
 * @property {"window" | "middle" | "aisle" | "window and aisle"} position
 * @property {string[]} features in words, without the position and the exit row
 * @property {boolean} isExit
 * @property {number} priceCents
 * @property {"available" | "reserved" | "booked" | "blocked"} status
 * @property {number} version
 * @property {number} tier
 * @property {number} x
 * @property {number} block the index of its block between aisles, from the left
 * @property {number} order
 * @property {Row} place
 */

/**
 * One row; `blocks` are its seats between the aisles, with null where the layout has a letter and the row no seat.
 *
 * @typedef {object} Row
 * @property {number} number
 * @property {number} index
 * @property {boolean} isExit
 * @property {Cabin} cabin
 * @property {(Seat | null)[][]} blocks
 * @property {Seat[]} seats
 */

/**
 * One cabin; `prices` are its distinct prices, the cheapest first.
 *
 * @typedef {object} Cabin
 * @property {string} name
 * @property {number} index
 * @property {number} firstRow
 * @property {number} lastRow
 * @property {string[]} letters one text a block, as ["ABC", "DEF"]
 * @property {number[]} prices
 * @property {Row[]} rows
 */

export class SeatPlan {
  #seats = new Map();
  #supposed = new Map();

  /** @param {object} flight the answer of `GET /api/flights/{id}` (docs/openapi.json, FlightWithSeatsBody) */
  constructor(flight) {
    this.flightNumber = flight.flightNumber;
    this.currency = flight.currency;
    /** @type {Cabin[]} */
    this.cabins = [];
    /** @type {Row[]} */
    this.rows = [];
    /** @type {Seat[]} every seat, in seat order */
    this.seats = [];
    const bodies = new Map(flight.seatMap.seats.map((body) => [body.id, body]));
    const widest = Math.max(...flight.seatMap.cabins.map((cabin) => cabin.layout.length));
    for (const body of flight.seatMap.cabins) this.#addCabin(body, bodies, widest);
  }

  #addCabin(body, bodies, widest) {
    const { name, firstRow, lastRow } = body;
    const letters = body.layout.split(" ");
    const cabin = { name, firstRow, lastRow, letters, index: this.cabins.length, prices: [], rows: [] };
    const exits = new Set(body.exitRows);
    for (let number = firstRow; number <= lastRow; number += 1) {
      const row = { number, index: this.rows.length, isExit: exits.has(number), cabin, blocks: [], seats: [] };
      this.#addSeats(row, bodies, widest / body.layout.length);
      if (!row.seats.length) continue;
      this.rows.push(row);
      cabin.rows.push(row);
    }
    rank(cabin);
    this.cabins.push(cabin);
  }

  #addSeats(row, bodies, width) {
    let passed = 0;
    row.cabin.letters.forEach((block, index) => {
      const places = [...block].map((letter, place) => {
        const body = bodies.get(`${row.number}${letter}`);
        const x = (passed + place + 0.5) * width;
        const position = positionOf(row.cabin, index, place);
        return body ? this.#addSeat(body, row, { x, block: index, position }) : null;
      });
      row.blocks.push(places);
      row.seats.push(...places.filter(Boolean));
      passed += block.length + 1;
    });
  }

  #addSeat(body, row, where) {
    const seat = {
      ...body,
      ...where,
      features: body.features.filter((feature) => !OF_THE_LAYOUT.has(feature)).map((word) => word.replaceAll("_", " ")),
      isExit: row.isExit || body.features.includes("exit_row"),
      tier: 0,
      order: this.seats.length,
      place: row,
    };
    this.#seats.set(seat.id, seat);
    this.seats.push(seat);
    return seat;
  }

  /** @returns {Seat | undefined} */
  seat(id) {
    return this.#seats.get(id);
  }

  /** The facts of a seat in words: `["middle", "economy", "exit row"]`. */
  describe(id) {
    const seat = this.#seats.get(id);
    return [seat.position, seat.cabin, ...(seat.isExit ? ["exit row"] : []), ...seat.features];
  }

  /** The ids of these that are seats here, each once, in seat order. */
  inOrder(ids) {
    const seats = [...new Set(ids)].map((id) => this.#seats.get(id)).filter(Boolean);
    return seats.sort((one, other) => one.order - other.order).map((seat) => seat.id);
  }

  /**
   * Apply a snapshot or a change of seats; anything older than the known state is ignored.
   *
   * @param {{id: string, status: string, version: number, priceCents?: number}[]} news
   * @returns {{seat: Seat, before: string, isRepriced: boolean}[]} the seats whose status or price has changed
   */
  apply(news) {
    const changed = [];
    for (const { id, status, version, priceCents } of news) {
      const seat = this.#seats.get(id);
      const isNews = seat && (version > seat.version || (version === seat.version && this.#supposed.has(id)));
      if (!isNews) continue;
      this.#supposed.delete(id);
      seat.version = version;
      const isRepriced = priceCents !== undefined && seat.priceCents !== priceCents;
      if (seat.status === status && !isRepriced) continue;
      changed.push({ seat, before: seat.status, isRepriced });
      seat.status = status;
      if (isRepriced) seat.priceCents = priceCents;
    }
    if (changed.some(({ isRepriced }) => isRepriced)) this.cabins.forEach(rank);
    return changed;
  }

  /**
   * Apply the status of seats from a refusal, before the change itself has come with its version. A refusal has no
   * version and may be older than the known state, so it holds only until the next change, or `recall`.
   *
   * @param {{id: string, status: string}[]} told
   */
  suppose(told) {
    for (const { id, status } of told) {
      const seat = this.#seats.get(id);
      if (!seat) continue;
      if (!this.#supposed.has(id)) this.#supposed.set(id, seat.status);
      seat.status = status;
    }
  }

  /** Return whether the status of a seat comes only from a refusal. */
  isSupposed(id) {
    return this.#supposed.has(id);
  }

  /** Restore the status of the last version of every seat that was only supposed. */
  recall() {
    for (const [id, status] of this.#supposed) this.#seats.get(id).status = status;
    this.#supposed.clear();
  }

  /** Describe how close together these seats are; "" for seats side by side. */
  howTogether(ids) {
    const seats = this.inOrder(ids).map((id) => this.#seats.get(id));
    const isNext = (seat, index) => index === 0 || seat.order === seats[index - 1].order + 1;
    const isNextRow = (seat, index) => index === 0 || seat.row - seats[index - 1].row <= 1;
    if (!seats.every(isNextRow)) return "the closest there are";
    if (seats.at(-1).row > seats[0].row) return "in neighbouring rows";
    if (!seats.every(isNext)) return "in the same row";
    return seats.at(-1).block > seats[0].block ? "across the aisle" : "";
  }
}

/** Find the distinct prices of a cabin, and the place of each seat's price among them. */
function rank(cabin) {
  const seats = cabin.rows.flatMap((row) => row.seats);
  cabin.prices = [...new Set(seats.map((seat) => seat.priceCents))].sort((one, other) => one - other);
  for (const seat of seats) seat.tier = cabin.prices.indexOf(seat.priceCents);
}

function positionOf({ letters }, block, place) {
  const isFirst = place === 0;
  const isLast = place === letters[block].length - 1;
  const words = [];
  if ((block === 0 && isFirst) || (block === letters.length - 1 && isLast)) words.push("window");
  if ((block > 0 && isFirst) || (block < letters.length - 1 && isLast)) words.push("aisle");
  return words.join(" and ") || "middle";
}
