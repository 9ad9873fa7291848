// The state of a seat for this customer: its look, its words, whether it can be chosen. No DOM.

import { spokenMoney } from "./words.js";

/** The words for each status, as the command line has them too: the page brings them. */
export const WORDS = JSON.parse(document.getElementById("main").dataset.seatWords);
const OF_STATUS = { available: null, reserved: "held", booked: "sold", blocked: "blocked" };

/** The words for a look; the legend has its own, shorter words. */
export const SAID = {
  mine: "yours",
  picked: "chosen, not yet held",
  held: WORDS.reserved,
  sold: WORDS.booked,
  blocked: WORDS.blocked,
};

const OF_ANOTHER_ORDER = { hold: "yours, in another order", booked: "yours, booked" };

/**
 * The seats of the customer: those they want, those the server holds for them with their prices, whether a request is
 * under way, and those of their other orders on this flight.
 *
 * @typedef {{wanted: Set<string>, held: Set<string>, prices: Map<string, number>, busy: boolean,
 *   own: Map<string, "hold" | "booked">}} Customer
 */

/**
 * @typedef {object} SeatState
 * @property {string | null} look for `data-st`; null is free
 * @property {string} said
 * @property {boolean} isSelected
 * @property {boolean} isSelectable true if it can be chosen or given up at all
 * @property {boolean} isBusy
 * @property {number} priceCents its price for the customer: a held seat keeps the price of its claim
 * @property {boolean} [isPressable] true if it can be chosen or given up now; the picker adds it
 */

/**
 * @param {import("./seat_plan.js").Seat} seat
 * @param {Customer} customer
 * @returns {SeatState}
 */
export function stateOf({ id, status, priceCents: today }, { wanted, held, prices, busy, own }) {
  const isSelected = wanted.has(id);
  const priceCents = prices.get(id) ?? today;
  if (isSelected || held.has(id)) {
    const look = held.has(id) ? "mine" : "picked";
    const isBusy = busy && isSelected !== held.has(id);
    return { look, said: SAID[look], isSelected, isSelectable: true, isBusy, priceCents };
  }
  const never = { isSelected: false, isSelectable: false, isBusy: false, priceCents };
  if (own.has(id)) return { look: "mine", said: OF_ANOTHER_ORDER[own.get(id)], ...never };
  const look = OF_STATUS[status] ?? null;
  return { look, said: SAID[look] ?? WORDS.available, ...never, isSelectable: look === null };
}

const spoken = new Map();

/** "14B, middle, economy, exit row, 320 dollars, available" */
export function nameOf(plan, seat, { said, priceCents }) {
  const key = `${priceCents} ${plan.currency}`;
  if (!spoken.has(key)) spoken.set(key, spokenMoney(priceCents, plan.currency));
  return [seat.id, ...plan.describe(seat.id), spoken.get(key), said].join(", ");
}
