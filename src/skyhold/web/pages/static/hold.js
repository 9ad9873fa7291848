// One customer's hold on seats of one flight, as this page knows it: what they want, what the server holds for them.
//
// Wishes are sent as whole sets, one at a time; what was wished last is what counts. What the server says always wins.

import { Refused, command, read } from "./api.js";
import { LiveStream } from "./live_stream.js";

const PAYING = new Set(["PAYMENT_PENDING", "PAYMENT_PROCESSING"]);
const OPEN = new Set(["CREATED", "SEATS_RESERVED", ...PAYING]);

const CHANGED_ELSEWHERE = "Your seats were changed in another window, so the time starts again.";
const RESTARTED = "Your seats changed, so the time starts again.";

/** Where a page notes that it asks for a hold, in case it is left before the answer. */
const ASKED = "skyhold-asked";

/**
 * @typedef {{seats: {seat: string, status: string}[], alternatives: string[][]}} Clash what was taken, and sets instead
 * @typedef {{seats: string[], shown: number, now: number}} Quote seats that cost another sum than this page showed
 * @typedef {{kind: "expired" | "cancelled" | "failed" | "confirmed" | "gone", order: any}} Ending "gone": this browser
 *   is not the customer's any more, as far as the server can tell
 */

/** Says "change" whenever anything of it is different. */
export class Hold extends EventTarget {
  /** The order as the server told it last, while it is open; else null. */
  order = null;
  /** The seats that the customer wants, which may be more, fewer or others than are held. @type {Set<string>} */
  wanted = new Set();
  /** Seats of this flight that the customer has by other orders. @type {Map<string, "hold" | "booked">} */
  own = new Map();
  /** @type {"" | "hold" | "change" | "release"} what is being asked of the server */
  asking = "";
  /** Whether all seats are to be given back as soon as that is answered. */
  givesBack = false;
  /** Whether an answer is overdue. */
  isWaiting = false;
  /** @type {Clash | null} */
  clash = null;
  /** What the held seats cost this order, whatever they cost others by now. @type {Map<string, number>} */
  prices = new Map();
  /** @type {Quote | null} a price to agree to, or not */
  quote = null;
  /** @type {Ending | null} how the order before ended, until new seats are held */
  ending = null;
  /** Something to tell that is no clash and no ending: a sentence, or "". */
  notice = "";
  /** When the time began to run, by the server. */
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

  /** @param {(seat: string) => number} priceShown what this page shows as the price of a seat for anyone, in cents */
  showPrices(priceShown) {
    this.#priceShown = priceShown;
  }

  /** What a seat costs this customer, in cents. */
  priceOf(seat) {
    return this.prices.get(seat) ?? this.#priceShown(seat);
  }

  /** What these seats cost this customer together, as this page shows it. */
  totalOf(seats) {
    return [...seats].reduce((sum, seat) => sum + this.priceOf(seat), 0);
  }

  get isPaying() {
    return PAYING.has(this.order?.status);
  }

  /**
   * Take up what the customer has on this flight already: the order named, else the newest that is open.
   *
   * @throws {Refused | Unanswered}
   */
  async load(orderId = null) {
    const { body } = await read("/api/orders?limit=100");
    const here = body.orders.filter((order) => order.flightId === this.flightId);
    const open = here.filter((order) => OPEN.has(order.status));
    // Seats that are being chosen for a new order are not exchanged for those of another.
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

  /** Want exactly these seats: remembered before there is a hold, sent at once when there is one. */
  want(seats) {
    this.wanted = new Set(seats);
    this.givesBack = false;
    this.clash = null;
    this.quote = null;
    this.notice = "";
    this.#changed();
    this.#sendChange();
  }

  /** The customer agrees to the price that was quoted: ask for the seats at that. */
  agree() {
    if (!this.quote) return;
    const { seats, now } = this.quote;
    this.#agreed = { seats: new Set(seats), cents: now };
    this.want(seats);
    this.hold();
  }

  /** The customer does not agree; what is held stays. */
  disagree() {
    this.quote = null;
    if (!this.order) this.wanted = new Set();
    this.#changed();
  }

  /** Seats that are free again belong to no other order of the customer's; which do, is asked anew. */
  comeBack(seats) {
    const back = seats.filter((seat) => this.own.delete(seat));
    if (back.length === 0) return;
    this.#changed();
    this.catchUp();
  }

  /** The customer has read what was taken. */
  forgetClash() {
    this.clash = null;
    this.#changed();
  }

  /** Some of what was wanted went to others before it was held. */
  lose(seats) {
    for (const seat of seats) this.wanted.delete(seat);
    this.#changed();
  }

  /** Ask for the wanted seats to be held. */
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

  /** Give all seats back. */
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

  /** Look at the order again: after a sleep, at the end of its time, when something else has changed it. */
  async refresh() {
    if (!this.order) return;
    try {
      const { body } = await read(`/api/orders/${this.order.orderId}`);
      if (this.asking) return;
      const before = this.held;
      this.#heard(body);
      // Whichever brings it first, the order's events or word from the other window.
      if (this.order && !areSame(before, this.held)) this.#tell(CHANGED_ELSEWHERE);
    } catch (error) {
      if (error.status !== 404 || this.asking) throw error;
      this.#forget();
    }
  }

  /** Look at all of it again: another window of this customer may have done something, or this one slept. */
  async catchUp() {
    try {
      await this.refresh();
      await this.load();
    } catch {
      // The streams say that the server is away; whoever comes back asks again.
    }
  }

  /** Whether a page that was left in the middle of asking for a hold might have got it. */
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
      this.notice = isLast ? "Your seats changed. The time cannot be made longer any more." : RESTARTED;
    }, { seats, cents });
    this.#sendChange();
  }

  #pricesOf(seats) {
    return new Map(seats.map((seat) => [seat, this.priceOf(seat)]));
  }

  /** The sum to ask for: the one that the customer agreed to, else the one that is shown. */
  #expected(seats) {
    const agreed = this.#agreed;
    this.#agreed = null;
    return agreed && areSame(agreed.seats, new Set(seats)) ? agreed.cents : this.totalOf(seats);
  }

  /** Keep what the held seats cost: as it was shown, if that is what was agreed to, else as the order has it. */
  async #keepPrices(shown) {
    this.prices = shown;
    if (this.totalOf(shown.keys()) === this.order.totalPriceCents) return;
    const { body } = await read(`/api/orders/${this.order.orderId}`).catch(() => ({ body: {} }));
    if (body.seatPrices && this.order) this.prices = pricesIn(body);
  }

  /** Do one thing with the server; a refusal puts what is wanted back to what is so, unless the wish has changed. */
  async #ask(what, act, sent = { seats: [], cents: 0 }) {
    this.asking = what;
    // A change may follow by itself on one that was refused: then the refusal is still news.
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
    this.notice = error instanceof Refused ? error.message : "The server did not answer. Nothing may have changed.";
    if (this.order) await this.#lookAgain(error);
    // Sent again it would be refused again, for ever; only seats that had changed may suit now.
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

  /** Take over what the server says of the order, whoever changed it. */
  #heard(told) {
    if (!this.order || told.orderId !== this.order.orderId) return;
    // A reply that was overtaken by another is old news; all of them tell when they were written.
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

  /** Events of our own commands say nothing new; of others' they call for the whole order, with its version. */
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

// A browser that forbids cookies throws at storage as well: then a page that was left does not know what it asked.
function note(flightId) {
  try {
    if (flightId) sessionStorage.setItem(ASKED, flightId);
    else sessionStorage.removeItem(ASKED);
  } catch {
    // It is a help, no more.
  }
}

function noted() {
  try {
    return sessionStorage.getItem(ASKED);
  } catch {
    return null;
  }
}

/** Whether two sets have the same members. */
export function areSame(one, other) {
  return one.size === other.size && [...one].every((member) => other.has(member));
}
