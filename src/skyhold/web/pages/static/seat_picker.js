// The seat picker: seats and changes go in, the customer's intent comes out. It knows nothing of orders and the
// network. Its parts: seat_plan.js the model, seat_states.js the customer's view of a seat, seat_grid.js the cabin,
// seat_card.js the card, seat_tools.js with seat_list.js and seat_filters.js the tools beside it.

import { say } from "./dom.js";
import { SeatCard } from "./seat_card.js";
import { SeatGrid } from "./seat_grid.js";
import { hull } from "./seat_hull.js";
import { SeatPlan } from "./seat_plan.js";
import { stateOf } from "./seat_states.js";
import { SeatTools } from "./seat_tools.js";
import { count, list, money, spokenMoney } from "./words.js";

const CLOSED = "Seats cannot be changed now.";
const NOBODY = { wanted: new Set(), held: new Set(), prices: new Map(), busy: false, own: new Map() };

/**
 * Events, all CustomEvents:
 * - `want` `{seats, cause}`: the whole new intent, ids in seat order; `cause` is "toggle", "list" or "best". The owner
 *   answers by `show`.
 * - `lost` `{seats}`: chosen seats, neither held nor being requested, that another customer got by `apply`. The picker
 *   no longer counts them as wanted; announcing it is left to the owner.
 * - `refused` `{reason, seat}`: "taken", "limit" or "disabled"; announced and shown already.
 */
export class SeatPicker extends EventTarget {
  #customer = NOBODY;
  #conflict = { taken: new Set(), near: new Set(), others: "" };
  #isEnabled = true;
  #maxSeats;
  #suggest;
  #dirty = new Set();
  #frame = 0;

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.cabin
   * @param {HTMLElement} parts.tools
   * @param {object} parts.flight
   * @param {number} parts.maxSeats
   * @param {(count: number, filters: [string, string][]) => Promise<string[][]>} parts.suggest find sets of free seats,
   *   the best first; the filters are parameters of the API's suggestions
   */
  constructor({ cabin, tools, flight, maxSeats, suggest }) {
    super();
    this.#maxSeats = maxSeats;
    this.#suggest = suggest;
    this.plan = new SeatPlan(flight);
    this.grid = new SeatGrid(this.plan, { onPress: (id) => this.#toggle(id, "toggle") });
    cabin.replaceChildren(hull(this.plan, this.grid.element));
    this.tools = new SeatTools(tools, this.plan, this.#answers());
    const around = { cabin, stateOf: (seat) => this.#stateOf(seat), topEdge: () => this.tools.coveredTop };
    this.card = new SeatCard(this.plan, this.grid, around);
    this.#touchAll();
    this.#draw();
  }

  #answers() {
    return {
      maxSeats: this.#maxSeats,
      stateOf: (seat) => this.#stateOf(seat),
      onListPress: (id) => this.#toggle(id, "list"),
      onBest: (size) => this.#chooseBest(size),
      onGo: (text) => this.#goTo(text),
      onJump: (cabin) => this.#jumpTo(cabin),
      onFilter: () => this.#filter(),
    };
  }

  /**
   * Apply a snapshot or a change; only higher versions count. Drawn with the next frame; focus and scroll stay.
   *
   * @param {{id: string, status: string, version: number, priceCents?: number}[]} seats
   */
  apply(seats) {
    const changed = this.plan.apply(seats);
    if (!changed.length) return;
    this.#tellOfFocused(changed.find(({ seat }) => seat.id === this.grid.focused));
    this.#touch(changed.map(({ seat }) => seat.id));
    if (changed.some(({ isRepriced }) => isRepriced)) this.#drawPrices();
    this.#lose(changed.filter(({ seat }) => seat.status !== "available").map(({ seat }) => seat.id));
  }

  /** Show the customer's seats; a missing member is empty. @param {Partial<import("./seat_states.js").Customer>} has */
  show({ wanted = [], held = [], prices = [], busy = false, own = [] }) {
    const before = this.#customer;
    const sets = { wanted: new Set(wanted), held: new Set(held) };
    this.#customer = { ...sets, prices: new Map(prices), busy, own: new Map(own) };
    this.#touch([...keysOf(before), ...keysOf(this.#customer)]);
    const { taken, others } = this.#conflict;
    if (taken.size && this.#others(this.#customer.wanted) !== others) this.clearConflict();
    const first = this.plan.inOrder(this.#customer.wanted)[0];
    if (first && before.wanted.size === 0) this.grid.rest(first);
    this.tools.suggestSize(this.#customer.wanted.size);
  }

  /**
   * Mark seats just taken by others and the free ones near them, until the customer wants something else.
   *
   * @param {{taken: {id: string, status: string}[], near: string[]}} conflict the taken ones with their status
   */
  showConflict({ taken = [], near = [] }) {
    this.clearConflict();
    this.plan.suppose(taken);
    const ids = taken.map(({ id }) => id);
    this.#conflict = { taken: new Set(ids), near: new Set(near), others: "" };
    this.#conflict.others = this.#others(this.#customer.wanted);
    this.#touch([...ids, ...near]);
  }

  clearConflict() {
    this.plan.recall();
    this.#touch([...this.#conflict.taken, ...this.#conflict.near]);
    this.#conflict = { taken: new Set(), near: new Set(), others: "" };
  }

  /** Bring a seat to the middle of the screen and put the focus on it. */
  focusSeat(id) {
    const cell = this.grid.cell(id);
    if (!cell) return;
    this.#bring(cell);
    cell.focus({ preventScroll: true });
  }

  /** True if seats can be chosen; they can always be explored. */
  get enabled() {
    return this.#isEnabled;
  }

  set enabled(isEnabled) {
    if (this.#isEnabled === isEnabled) return;
    this.#isEnabled = isEnabled;
    this.#touchAll();
  }

  #stateOf(seat) {
    const state = stateOf(seat, this.#customer);
    return { ...state, isPressable: state.isSelectable && this.#isEnabled };
  }

  #toggle(id, cause) {
    const { wanted } = this.#customer;
    // A refusal may be older than the seat's return: pressing the seat requests it again, and the server decides.
    if (this.plan.isSupposed(id)) this.clearConflict();
    const state = this.#stateOf(this.plan.seat(id));
    const refuse = (reason, text) => this.#refuse({ seat: id, reason, text, cause });
    if (!this.#isEnabled) return refuse("disabled", CLOSED);
    if (!state.isSelectable) return refuse("taken", `${id} is ${state.said}.`);
    if (wanted.has(id)) return this.#want([...wanted].filter((other) => other !== id), cause);
    const limit = `An order has at most ${this.#maxSeats} seats. Take one away first.`;
    if (wanted.size >= this.#maxSeats) return refuse("limit", limit);
    return this.#want([...wanted, id], cause);
  }

  // Drawn as wanted at once: the owner's answer may come later, but a press must be seen immediately.
  #want(ids, cause) {
    const seats = this.plan.inOrder(ids);
    this.clearConflict();
    this.tools.forgetFound();
    this.show({ ...this.#customer, wanted: seats });
    this.dispatchEvent(new CustomEvent("want", { detail: { seats, cause } }));
  }

  #refuse({ seat, reason, text, cause }) {
    say(text);
    if (cause === "list") this.tools.list.note(text);
    else this.card.note(seat, reason === "taken" ? "" : text);
    this.dispatchEvent(new CustomEvent("refused", { detail: { reason, seat } }));
  }

  #lose(ids) {
    const { wanted, held, busy, own } = this.#customer;
    const lost = busy ? [] : this.plan.inOrder(ids.filter((id) => wanted.has(id) && !held.has(id) && !own.has(id)));
    if (!lost.length) return;
    this.tools.forgetFound();
    this.show({ ...this.#customer, wanted: [...wanted].filter((id) => !lost.includes(id)) });
    this.dispatchEvent(new CustomEvent("lost", { detail: { seats: lost } }));
  }

  // Changes of others are announced only for the focused seat; those of the customer's own seats by the owner.
  #tellOfFocused(change) {
    if (!change || keysOf(this.#customer).includes(change.seat.id)) return;
    const { said, priceCents } = this.#stateOf(change.seat);
    const price = change.isRepriced ? `, ${spokenMoney(priceCents, this.plan.currency)}` : "";
    say(`${change.seat.id} is now ${said}${price}.`);
  }

  #drawPrices() {
    this.grid.drawPrices();
    this.tools.drawPrices();
    this.#touchAll();
  }

  async #chooseBest(size) {
    if (!this.#isEnabled) return spoken(CLOSED);
    // A group of people cannot all sit at a window.
    const kinds = size === 1 ? ["position", "exit", "price"] : ["exit", "price"];
    const found = await this.#suggest(size, this.tools.filters.parameters(kinds)).catch(() => null);
    if (!found) return spoken("Seats cannot be suggested now. Choose them on the map.");
    if (!found.length) return spoken(noneFound(size, this.tools.filters.isOn));
    const isFree = (id) => isObtainable(this.plan.seat(id), this.#customer);
    const seats = found.find((ids) => ids.every(isFree));
    if (!seats) return spoken("The seats that were found have just been taken. Try again.");
    const isSame = seats.length === this.#customer.wanted.size && seats.every((id) => this.#customer.wanted.has(id));
    if (!isSame) this.#want(seats, "best");
    this.#showFound(seats[0]);
    return spoken(this.#describeFound(seats, isSame));
  }

  #describeFound(seats, isSame) {
    const cents = seats.reduce((total, id) => total + this.#stateOf(this.plan.seat(id)).priceCents, 0);
    const price = money(cents, this.plan.currency);
    const words = [list(seats), this.plan.howTogether(seats), price].filter(Boolean).join(", ");
    return isSame ? `You have them already: ${words}.` : `Chosen: ${words}.`;
  }

  #goTo(text) {
    const id = text.replace(/\s/g, "").toUpperCase();
    const seat = this.plan.seat(id);
    if (!id) return { text: spoken("Type a row and a letter, as 14C."), isError: true };
    if (!seat) return { text: spoken(`There is no seat ${id} on this flight.`), isError: true };
    this.tools.close();
    this.focusSeat(id);
    const { look, said } = this.#stateOf(seat);
    return { text: look ? `${id} is ${said}.` : "", isError: false };
  }

  #jumpTo(cabin) {
    const seats = cabin.rows.flatMap((row) => row.seats);
    const seat = seats.find((other) => isObtainable(other, this.#customer)) ?? seats[0];
    this.tools.close();
    this.#bring(this.grid.head(cabin), "start");
    this.grid.cell(seat.id).focus({ preventScroll: true });
  }

  // In a drawer the pressed button is hidden with it, so the focus moves to the first seat found.
  #showFound(id) {
    if (!this.tools.isNarrow) return this.#bring(this.grid.cell(id));
    this.tools.close();
    return this.focusSeat(id);
  }

  #bring(element, block = "center") {
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    element.scrollIntoView({ block, inline: "nearest", behavior: isCalm ? "instant" : "smooth" });
  }

  #filter() {
    this.#touchAll();
    this.tools.list?.drawAll();
    const free = this.plan.seats.filter((seat) => this.#stateOf(seat).look === null);
    const matching = free.filter((seat) => this.tools.filters.matches(seat));
    say(this.tools.filters.isOn ? `${matching.length} of ${count(free.length, "free seat")}.` : "All seats are shown.");
  }

  #others(wanted) {
    return this.plan.inOrder([...wanted].filter((id) => !this.#conflict.taken.has(id))).join(" ");
  }

  #touchAll() {
    this.#touch(this.plan.seats.map((seat) => seat.id));
  }

  #touch(ids) {
    for (const id of ids) this.#dirty.add(id);
    if (this.#dirty.size && !this.#frame) this.#frame = requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const dirty = [...this.#dirty].map((id) => this.plan.seat(id)).filter(Boolean);
    this.#dirty.clear();
    for (const seat of dirty) this.#drawSeat(seat);
    if (dirty.length) this.#drawAround();
  }

  #drawSeat(seat) {
    const state = this.#stateOf(seat);
    const isFree = state.look === null;
    const isDim = isFree && !this.tools.filters.matches(seat);
    const isHit = this.#conflict.taken.has(seat.id) && !isFree && state.look !== "mine" && state.look !== "picked";
    const isNear = isFree && this.#conflict.near.has(seat.id);
    this.grid.draw(seat, state, { isDim, isHit, isNear });
    this.tools.list?.draw(seat);
    this.card.refresh(seat.id);
  }

  #drawAround() {
    const looks = new Set();
    const free = this.plan.seats.filter((seat) => {
      const { look } = this.#stateOf(seat);
      looks.add(look ?? "");
      return look === null;
    });
    this.tools.legend.draw(looks);
    this.tools.list?.tidy();
    this.tools.tell(free, free.filter((seat) => this.tools.filters.matches(seat)));
  }
}

function keysOf({ wanted, held, own }) {
  return [...wanted, ...held, ...own.keys()];
}

// Free, or the customer's own by this order: a whole new set may keep them.
function isObtainable(seat, { wanted, held, own }) {
  return held.has(seat.id) || wanted.has(seat.id) || (seat.status === "available" && !own.has(seat.id));
}

function noneFound(number, isFiltered) {
  const seats = number === 1 ? "No seat is free" : `No ${number} seats are free`;
  return isFiltered ? `${seats} that ${number === 1 ? "matches" : "match"} what you look for.` : `${seats}.`;
}

function spoken(text) {
  say(text);
  return text;
}
