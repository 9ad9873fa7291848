// One customer's hold on seats of one flight, as this page knows it: the wanted seats, and those that the server holds.
//
// Changes are sent as whole sets of seats, one at a time; the last set counts. The server's state always wins.

import { Refused, command, read } from "./api.js";
import { LiveStream } from "./live_stream.js";

const PAYING = new Set(["PAYMENT_PENDING", "PAYMENT_PROCESSING"]);
const OPEN = new Set(["CREATED", "SEATS_RESERVED", ...PAYING]);

const CHANGED_ELSEWHERE = "Your seats were changed in another window, so the time starts again.";
const RESTARTED = "Your seats changed, so the time starts again.";

/** The storage key of a note that the page requests a hold, in case it is left before the answer. */
const ASKED = "skyhold-asked";

/**
 * @typedef {{seats: {seat: string, status: string}[], alternatives: string[][]}} Clash taken seats, and sets instead
 * @typedef {{seats: string[], shown: number, now: number}} Quote seats whose total is not the one that this page showed
 * @typedef {{kind: "expired" | "cancelled" | "failed" | "confirmed" | "gone", order: any}} Ending "gone": this browser
 *   is no longer the customer's, as far as the server can see
 */

/** Dispatches "change" at every change of its state. */
export class Hold extends EventTarget {
  /** The latest order from the server, while it is open; else null. */
  order = null;
  /** The seats that the customer wants, which may differ from the held ones. @type {Set<string>} */
  wanted = new Set();
  /** Seats of this flight that the customer has by other orders. @type {Map<string, "hold" | "booked">} */
  own = new Map();
  /** @type {"" | "hold" | "change" | "release"} the request under way */
  asking = "";
  /** True if all seats are to be released as soon as that request is answered. */
  givesBack = false;
  /** True while an answer is overdue. */
  isWaiting = false;
  /** @type {Clash | null} */
  clash = null;
  /** Prices of the held seats for this order, which may differ from those for others. @type {Map<string, number>} */
  prices = new Map();
  /** @type {Quote | null} a changed price that the customer accepts or rejects */
  quote = null;
  /** @type {Ending | null} the end of the previous order, until new seats are held */
  ending = null;
  /** A sentence to show that is neither a clash nor an ending, or "". */
  notice = "";
  /** When the time began to run, by the server's clock. */
  startedAt = undefined;

  #stream = null;
  #unheard = null;
  #priceShown = () => 0;
  #agreed = null;
  #windows = new BroadcastChannel("skyhold-orders");

  /** @param {string} flightId */
  constructor(flightId) {
    super();
    this.flightId = flightId;
    this.#windows.addEventListener("message", () => this.catchUp());
  }

  /** The seats that the server holds for the customer. @returns {Set<string>} */
  get held() {
    return new Set(this.order?.seats ?? []);
  }

  /** @param {(seat: string) => number} priceShown the price of a seat that this page shows for anyone, in cents */
  showPrices(priceShown) {
    this.#priceShown = priceShown;
  }

  /** The price of a seat for this customer, in cents. */
  priceOf(seat) {
    return this.prices.get(seat) ?? this.#priceShown(seat);
  }

  /** The total of these seats for this customer, as this page shows it. */
  totalOf(seats) {
    return [...seats].reduce((sum, seat) => sum + this.priceOf(seat), 0);
  }

  get isPaying() {
    return PAYING.has(this.order?.status);
  }

  /**
   * Adopt the customer's open order on this flight: the one named, else the newest.
   *
   * @throws {Refused | Unanswered}
   */
  async load(orderId = null) {
    const { body } = await read("/api/orders?limit=100");
    const here = body.orders.filter((order) => order.flightId === this.flightId);
    const open = here.filter((order) => OPEN.has(order.status));
    // Seats that are being chosen for a new order are not replaced by those of another.
    const isFree = this.order === null && this.wanted.size === 0;
    const mine = isFree ? (open.find((order) => order.orderId === orderId) ?? open[0]) : null;
    this.own.clear();
    for (const order of here) {
      if (order === mine || order.orderId === this.order?.orderId) continue;
      const kind = order.status === "CONFIRMED" ? "booked" : OPEN.has(order.status) ? "hold" : null;
      if (kind) for (const seat of order.seats) this.own.set(seat, kind);
    }
    if (mine) this.#take(mine);
    this.#changed();
  }

  /** Set the wanted seats: only kept before there is a hold, sent at once when there is one. */
  want(seats) {
    this.wanted = new Set(seats);
    this.givesBack = false;
    this.clash = null;
    this.quote = null;
    this.notice = "";
    this.#changed();
    this.#sendChange();
  }

  /** Accept the quoted price, and request the seats at it. */
  agree() {
    if (!this.quote) return;
    const { seats, now } = this.quote;
    this.#agreed = { seats: new Set(seats), cents: now };
    this.want(seats);
    this.hold();
  }

  /** Reject the quoted price; held seats stay held. */
  disagree() {
    this.quote = null;
    if (!this.order) this.wanted = new Set();
    this.#changed();
  }

  /** Remove seats that are free again from those of the customer's other orders, and read these orders again. */
  comeBack(seats) {
    const back = seats.filter((seat) => this.own.delete(seat));
    if (back.length === 0) return;
    this.#changed();
    this.catchUp();
  }

  /** Dismiss the clash. */
  forgetClash() {
    this.clash = null;
    this.#changed();
  }

  /** Remove wanted seats that others took before they were held. */
  lose(seats) {
    for (const seat of seats) this.wanted.delete(seat);
    this.#changed();
  }

  /** Request a hold of the wanted seats. */
  async hold() {
    if (this.asking || this.order || this.wanted.size === 0) return;
    const seats = [...this.wanted];
    const cents = this.#expected(seats);
    await this.#ask("hold", async () => {
      const prices = this.#pricesOf(seats);
      const body = { flightId: this.flightId, seats, expectedTotalCents: cents };
      const order = await this.#send("POST", "/api/orders", { body });
      const wish = this.wanted;
      this.#take(order, order.serverTime);
      await this.#keepPrices(prices);
      this.wanted = wish;
    }, { seats, cents });
    this.#sendChange();
  }

  /** Release all seats. */
  async release() {
    if (!this.order || this.asking === "release") return;
    this.givesBack = this.asking !== "";
    if (this.givesBack) return this.#changed();
    await this.#ask("release", async () => {
      await this.#send("DELETE", `/api/orders/${this.order.orderId}`);
      this.wanted = new Set();
      this.#end("cancelled", this.order);
    });
  }

  /** Read the order again: after a sleep, at the end of its time, or when something else has changed it. */
  async refresh() {
    if (!this.order) return;
    try {
      const { body } = await read(`/api/orders/${this.order.orderId}`);
      if (this.asking) return;
      const before = this.held;
      this.#heard(body);
      // The order's events and the other window's message both lead here; the first one sets the notice.
      if (this.order && !areSame(before, this.held)) this.#tell(CHANGED_ELSEWHERE);
    } catch (error) {
      if (error.status !== 404 || this.asking) throw error;
      this.#forget();
    }
  }

  /** Read everything again: another window of this customer may have done something, or this one slept. */
  async catchUp() {
    try {
      await this.refresh();
      await this.load();
    } catch {
      // The stream shows that the server is unavailable; the next wake reads again.
    }
  }

  /** True if the page was left during a request for a hold, which may have succeeded. */
  get mayHaveAsked() {
    return noted() === this.flightId;
  }

  async #sendChange() {
    const isHeld = this.order?.status === "SEATS_RESERVED";
    if (this.asking || !isHeld || this.wanted.size === 0 || areSame(this.wanted, this.held)) return;
    const { orderId, version } = this.order;
    const seats = [...this.wanted];
    const cents = this.#expected(seats);
    await this.#ask("change", async () => {
      const path = `/api/orders/${orderId}/seats`;
      const prices = this.#pricesOf(seats);
      const body = { seats, expectedTotalCents: cents };
      const changed = await this.#send("PUT", path, { body, version });
      Object.assign(this.order, changed);
      await this.#keepPrices(prices);
      this.startedAt = changed.serverTime;
      const isLast = changed.expiresAt === this.order.maxExpiresAt;
      this.notice = isLast ? "Your seats changed. The time can no longer be extended." : RESTARTED;
    }, { seats, cents });
    this.#sendChange();
  }

  #pricesOf(seats) {
    return new Map(seats.map((seat) => [seat, this.priceOf(seat)]));
  }

  /** The total to send: the one that the customer accepted, else the one that is shown. */
  #expected(seats) {
    const agreed = this.#agreed;
    this.#agreed = null;
    return agreed && areSame(agreed.seats, new Set(seats)) ? agreed.cents : this.totalOf(seats);
  }

  /** Keep the prices of the held seats: those shown, if their sum is the order's total, else those of the order. */
  async #keepPrices(shown) {
    this.prices = shown;
    if (this.totalOf(shown.keys()) === this.order.totalPriceCents) return;
    const { body } = await read(`/api/orders/${this.order.orderId}`).catch(() => ({ body: {} }));
    if (body.seatPrices && this.order) this.prices = pricesIn(body);
  }

  /** Send one command; a refusal resets the wanted seats to the held ones, unless they have changed since. */
  async #ask(what, act, sent = { seats: [], cents: 0 }) {
    this.asking = what;
    // A change may follow automatically on a refused one: then the refusal must stay visible.
    if (what !== "change") this.clash = null;
    this.quote = null;
    this.notice = "";
    note(this.flightId);
    this.#changed();
    try {
      await act();
    } catch (error) {
      await this.#refused(error, sent);
    }
    this.asking = "";
    this.isWaiting = false;
    note(null);
    this.#windows.postMessage(what);
    if (this.#unheard) this.#listen(this.#unheard);
    this.#changed();
    if (!this.givesBack) return;
    this.givesBack = false;
    await this.release();
  }

  async #refused(error, sent) {
    const isLatest = () => areSame(this.wanted, new Set(sent.seats));
    if (error.code === "SEATS_UNAVAILABLE") {
      const { conflicts, alternatives = [] } = error.problem;
      const taken = new Set(conflicts.map(({ seat }) => seat));
      if ([...taken].some((seat) => this.wanted.has(seat))) {
        this.clash = { seats: conflicts, alternatives: alternatives.map(({ seats }) => seats) };
      }
      const rest = [...this.wanted].filter((seat) => !taken.has(seat));
      this.wanted = isLatest() && this.order ? this.held : new Set(rest);
      return;
    }
    if (error.code === "PRICE_CHANGED") {
      if (!isLatest()) return;
      this.quote = { seats: sent.seats, shown: sent.cents, now: error.problem.totalPriceCents };
      if (this.order) this.wanted = this.held;
      return;
    }
    this.notice = error instanceof Refused ? error.message : "The server did not answer. Your seats may be unchanged.";
    if (this.order) await this.#lookAgain(error);
    // The same seats would be refused again and again; only after ORDER_CHANGED may they succeed.
    const isFinal = error instanceof Refused && error.code !== "ORDER_CHANGED";
    if (this.order && isFinal && isLatest()) this.wanted = this.held;
    else if (!this.order && !(error instanceof Refused)) await this.load().catch(() => {});
  }

  async #lookAgain(error) {
    try {
      const { body } = await read(`/api/orders/${this.order.orderId}`);
      if (error.code === "ORDER_CHANGED") this.notice = CHANGED_ELSEWHERE;
      this.#heard(body);
    } catch (looking) {
      if (looking.status === 404) this.#forget();
      else this.wanted = this.held;
    }
  }

  #send(method, path, more) {
    const onWaiting = (isWaiting) => {
      this.isWaiting = isWaiting;
      this.#changed();
    };
    return command(method, path, { ...more, onWaiting });
  }

  #take(order, startedAt = order.updatedAt) {
    this.order = order;
    this.wanted = new Set(order.seats);
    this.startedAt = startedAt;
    this.ending = null;
    this.clash = null;
    this.prices = pricesIn(order);
    this.#follow(order.orderId);
  }

  /** Apply the server's state of the order, whoever changed it. */
  #heard(told) {
    if (!this.order || told.orderId !== this.order.orderId) return;
    // Ignore a reply that is older than the known state, by its server time.
    if (told.serverTime < this.order.serverTime) return;
    if (!OPEN.has(told.status)) {
      this.#end(endOf(told), told);
    } else {
      const isMoved = told.expiresAt !== this.order.expiresAt;
      const areOthers = !areSame(new Set(told.seats), this.held);
      Object.assign(this.order, told);
      if (told.seatPrices) this.prices = pricesIn(told);
      if (areOthers || this.isPaying) this.wanted = this.held;
      if (isMoved) this.startedAt = told.updatedAt;
    }
    this.#changed();
  }

  #end(kind, order) {
    this.#stream?.end();
    this.#stream = null;
    this.ending = { kind, order };
    this.notice = "";
    this.quote = null;
    this.prices = new Map();
    if (kind === "confirmed") {
      for (const seat of order.seats) this.own.set(seat, "booked");
      this.wanted = new Set();
    }
    this.order = null;
    this.startedAt = undefined;
  }

  /** The order is no longer this browser's: its cookie is gone. */
  #forget() {
    if (!this.order) return;
    this.#end("gone", this.order);
    this.wanted = new Set();
    this.#changed();
  }

  #follow(orderId) {
    this.#stream?.end();
    this.#stream = new LiveStream(`/api/orders/${orderId}/events`, { order: (told) => this.#listen(told) });
  }

  /** Events of this page's own commands are ignored; other changes need the whole order, with its version. */
  #listen(told) {
    this.#unheard = this.asking ? told : null;
    if (this.asking || !this.order || told.orderId !== this.order.orderId) return;
    const { status, seats, expiresAt } = this.order;
    const isNews = told.status !== status || told.expiresAt !== expiresAt || !areSame(new Set(told.seats), new Set(seats));
    if (isNews) this.refresh().catch(() => {});
  }

  #tell(notice) {
    this.notice = notice;
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

function pricesIn({ seatPrices = [] }) {
  return new Map(seatPrices.map(({ id, priceCents }) => [id, priceCents]));
}

function endOf({ status, failureCode }) {
  if (status === "CONFIRMED") return "confirmed";
  if (status === "EXPIRED") return "expired";
  return failureCode === "CANCELLED" ? "cancelled" : "failed";
}

// A browser that forbids cookies throws at storage as well: then a page that was left has no note of its request.
function note(flightId) {
  try {
    if (flightId) sessionStorage.setItem(ASKED, flightId);
    else sessionStorage.removeItem(ASKED);
  } catch {
    // The note is only a help.
  }
}

function noted() {
  try {
    return sessionStorage.getItem(ASKED);
  } catch {
    return null;
  }
}

/** Return whether two sets have the same members. */
export function areSame(one, other) {
  return one.size === other.size && [...one].every((member) => other.has(member));
}
