// The panel beside the cabin, on a phone the dock below it: the chosen or held seats, the clock, and the next step.

import { at } from "./api.js";
import { Countdown, drawDial } from "./countdown.js";
import { el, fill, icon, part, say, show } from "./dom.js";
import { areFor, count, lengthOfTime, list, money, sentence } from "./words.js";

const CHECK_AGAIN_MS = 2_000;

const ENDINGS = {
  expired: "Time ran out, and the seats went back. Nothing was charged.",
  cancelled: "You gave the seats back. Nothing was charged.",
  failed: "The payment did not go through, and the seats went back.",
  gone: "The seats cannot be shown as yours: this browser no longer has the cookie that proves it.",
};

export class HoldPanel {
  #countdown;
  #quote = null;

  /**
   * @param {HTMLElement} root the `aside` of templates/flight.html
   * @param {{hold: import("./hold.js").Hold, plan: import("./seat_plan.js").SeatPlan, currency: string,
   *   holdMilliseconds: number, canHold: boolean, onShowSeat: (seat: string) => void}} parts
   */
  constructor(root, { hold, plan, currency, holdMilliseconds, canHold, onShowSeat }) {
    Object.assign(this, { root, hold, plan, currency, holdMilliseconds, canHold, onShowSeat });
    this.pageTitle = document.title;
    this.#countdown = new Countdown({
      onDraw: (left) => this.#drawTime(left),
      onSay: (text, { isStart = false } = {}) => say(isStart ? `${this.#heldInWords()} ${text}` : text),
      onEnd: () => this.#timeIsUp(),
    });
    part(root, "hold").addEventListener("click", () => hold.hold());
    part(root, "release").addEventListener("click", () => hold.release());
    part(root, "seats").addEventListener("click", (event) => this.#drop(event));
    part(root, "dismiss").addEventListener("click", () => this.#dismiss());
    part(root, "agree").addEventListener("click", () => hold.agree());
    part(root, "disagree").addEventListener("click", () => this.#disagree());
    hold.addEventListener("change", () => this.draw());
    this.draw();
  }

  /** Draw the current state. */
  draw() {
    const { hold, root } = this;
    const focused = root.contains(document.activeElement) ? document.activeElement : null;
    root.classList.toggle("pre", hold.order === null);
    root.dataset.phase = this.#phase();
    this.#drawClash();
    this.#drawQuote();
    this.#drawNote();
    this.#drawSeats();
    this.#drawActions();
    this.#drawClock();
    // If the focused button has disappeared, the focus continues at the head of the panel.
    if (focused && !focused.checkVisibility()) part(root, "title").focus({ preventScroll: true });
  }

  #phase() {
    const { hold } = this;
    if (hold.isPaying) return "paying";
    if (hold.order) return "held";
    return hold.wanted.size > 0 ? "chosen" : "empty";
  }

  #drawClock() {
    const { order, startedAt, isPaying } = this.hold;
    const runs = order?.status === "SEATS_RESERVED";
    if (runs) this.#countdown.runTo(order.expiresAt, startedAt);
    else {
      this.#countdown.stop();
      document.title = this.pageTitle;
    }
    show(part(this.root, "clock"), runs);
    show(this.root.querySelector(".pane"), order !== null);
    const chosen = this.hold.wanted.size;
    const title = isPaying ? "Paying" : runs ? "Yours for" : chosen ? `${count(chosen, "seat")} chosen` : "Choose your seats";
    fill(this.root, { title, hint: this.#hint() });
    show(part(this.root, "hint"), part(this.root, "hint").textContent !== "");
  }

  #heldInWords() {
    const seats = this.plan.inOrder(this.hold.held);
    return `${list(seats)} ${areFor(seats.length)} yours.`;
  }

  #drawTime(left) {
    drawDial(part(this.root, "now"), left);
    document.title = `${left.digits} · ${this.pageTitle}`;
  }

  #hint() {
    const { hold } = this;
    if (hold.isPaying) return "The clock stands still while the bank is asked.";
    if (!this.canHold) return "This flight has left.";
    if (hold.order) return "";
    return hold.wanted.size ? "Not held yet. Others can still take them." : "Nothing is held until you say so.";
  }

  /** Draw the note: an overdue answer, a restart, an ending, or a hint to choose another seat. */
  #drawNote() {
    const { hold } = this;
    const text = this.#note();
    const note = part(this.root, "note");
    show(note, text !== "" && hold.clash === null && hold.quote === null);
    if (note.dataset.text === text) return;
    note.dataset.text = text;
    const isConfirmed = hold.ending?.kind === "confirmed" && text !== "" && !hold.notice;
    const link = isConfirmed && el("a", { href: at(`/orders/${hold.ending.order.orderId}`) }, "Show the boarding pass");
    note.replaceChildren(...[text, link && " ", link].filter(Boolean));
    if (text) say(text);
  }

  #note() {
    const { hold } = this;
    if (hold.isWaiting) return "No answer yet. Retrying automatically; nothing is done twice.";
    if (hold.notice) return hold.notice;
    if (hold.order && hold.wanted.size === 0) {
      const seats = list([...hold.held]);
      return `You still hold ${seats}. Choose another seat, or give ${hold.held.size === 1 ? "it" : "them"} back.`;
    }
    if (hold.ending?.kind === "confirmed") return `${sentence(list(hold.ending.order.seats))} are yours for good.`;
    return hold.ending ? ENDINGS[hold.ending.kind] : "";
  }

  #drawClash() {
    const { hold, root } = this;
    const section = part(root, "clash");
    const key = hold.clash ? JSON.stringify([hold.clash, ...hold.held]) : "";
    if (section.dataset.key === key) return;
    section.dataset.key = key;
    show(section, key !== "");
    if (!hold.clash) return;
    const taken = hold.clash.seats.map(({ seat }) => seat);
    const title = `${list(taken)} ${taken.length === 1 ? "was" : "were"} just taken.`;
    const text = this.#clashText();
    fill(root, { "clash-title": title, "clash-text": text });
    part(root, "clash-acts").replaceChildren(...this.#alternatives());
    say(`${title} ${text} ${this.#alternativesInWords()}`, { atOnce: true });
  }

  /** Draw the question about a price that has changed since it was shown. */
  async #drawQuote() {
    const { quote, order } = this.hold;
    if (quote === this.#quote) return;
    this.#quote = quote;
    // If the module does not load, no question is shown, and nothing is held.
    const { drawQuote } = await import("./price_quote.js").catch(() => ({ drawQuote: () => {} }));
    drawQuote(this.root, { quote: this.hold.quote, hasOrder: order !== null, currency: this.currency });
  }

  #disagree() {
    this.hold.disagree();
    part(this.root, "title").focus();
  }

  #dismiss() {
    this.hold.forgetClash();
    part(this.root, "title").focus();
  }

  #clashText() {
    const { held } = this.hold;
    const kept = held.size ? `You still hold ${list([...held])}.` : "Nothing is held yet.";
    return this.hold.clash.alternatives.length ? `${kept} Closest:` : `${kept} There is nothing like it left.`;
  }

  #alternativesInWords() {
    return this.hold.clash.alternatives.map((seats) => list(this.#newOf(seats))).join(", or ");
  }

  #alternatives() {
    return this.hold.clash.alternatives.map((seats, number) => {
      const added = this.#newOf(seats);
      const words = added.length === 1 ? `${added[0]}, ${this.plan.seat(added[0]).position}` : added.join(", ");
      const choose = () => this.#choose(seats);
      return el("button", { type: "button", class: number ? "btn line slim" : "btn slim", onclick: choose }, words);
    });
  }

  /** The seats of a set that the customer does not have already. */
  #newOf(seats) {
    const { held, wanted } = this.hold;
    const added = seats.filter((seat) => !held.has(seat) && !wanted.has(seat));
    return added.length ? added : seats;
  }

  #choose(seats) {
    const { hold } = this;
    hold.want(seats);
    if (!hold.order) hold.hold();
    this.onShowSeat(seats[0]);
  }

  #drawSeats() {
    const { hold, root } = this;
    const shown = hold.wanted.size || !hold.order ? hold.wanted : hold.held;
    const seats = this.plan.inOrder(shown);
    const box = part(root, "seats");
    box.setAttribute("aria-label", hold.order ? "Your seats" : "Chosen seats");
    const known = new Map([...box.children].map((item) => [item.dataset.seat, item]));
    const items = seats.map((seat) => known.get(seat) ?? this.#item(seat));
    for (const item of items) fill(item, { price: money(hold.priceOf(item.dataset.seat), this.currency) });
    if (items.length !== box.children.length || items.some((item, n) => item !== box.children[n])) {
      box.replaceChildren(...items);
    }
    for (const item of items) {
      const button = item.querySelector("button");
      button.setAttribute("aria-label", `${hold.order ? "Give back" : "Remove"} ${item.dataset.seat}`);
      show(button, !hold.isPaying);
    }
    const total = hold.order && !hold.asking ? hold.order.totalPriceCents : hold.totalOf(seats);
    fill(root, { total: money(total, this.currency) });
    show(part(root, "what"), seats.length > 0);
    show(part(root, "sum"), seats.length > 0);
  }

  #item(id) {
    const { position } = this.plan.seat(id);
    return el(
      "li",
      { "data-seat": id },
      el("b", {}, id),
      el("span", {}, position),
      el("span", { "data-part": "price" }),
      el("button", { type: "button", class: "drop" }, icon("remove")),
    );
  }

  #drop(event) {
    const item = event.target.closest("button")?.closest("li");
    if (!item) return;
    const neighbour = item.nextElementSibling ?? item.previousElementSibling;
    const { hold } = this;
    hold.want([...hold.wanted].filter((seat) => seat !== item.dataset.seat));
    (neighbour?.querySelector("button") ?? part(this.root, "title")).focus();
  }

  #drawActions() {
    const { hold, root } = this;
    const button = part(root, "hold");
    const seats = count(hold.wanted.size, "seat");
    show(button, !hold.order && !hold.quote && hold.wanted.size > 0 && this.canHold);
    const isHolding = hold.asking === "hold";
    fill(root, { hold: isHolding ? `Holding ${seats}…` : `Hold ${seats} for ${lengthOfTime(this.holdMilliseconds)}` });
    button.setAttribute("aria-busy", isHolding);
    button.setAttribute("aria-disabled", isHolding);
    const pay = part(root, "pay");
    show(pay, hold.order !== null);
    const isSettled = !hold.asking && hold.wanted.size > 0;
    if (hold.order) {
      pay.href = at(`/orders/${hold.order.orderId}`);
      const words = hold.isPaying ? "Show the payment" : `Pay ${money(hold.order.totalPriceCents, this.currency)}`;
      fill(root, { pay: hold.asking === "change" ? "Changing seats…" : words });
      pay.setAttribute("aria-busy", !isSettled && hold.asking !== "");
    }
    const release = part(root, "release");
    show(release, hold.order !== null && !hold.isPaying);
    const isGiving = hold.givesBack || hold.asking === "release";
    fill(root, { release: isGiving ? "Giving back…" : hold.held.size === 1 ? "Give it back" : "Give all back" });
  }

  /** Read the order until the server has ended the hold; mostly the event of that is there first. */
  #timeIsUp() {
    const { order } = this.hold;
    if (order?.status !== "SEATS_RESERVED" || this.#countdown.milliseconds > 0) return;
    fill(this.root, { title: "Checking…" });
    this.hold.refresh().catch(() => {});
    setTimeout(() => this.hold.order === order && this.#timeIsUp(), CHECK_AGAIN_MS);
  }
}
