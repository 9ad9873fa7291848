// Orders that ended without a booking: the reason, the money, and the seats.

import { at } from "./api.js";
import { copyOf, el, fill, part, say, show } from "./dom.js";
import { named } from "./order_views.js";
import { areFor, atPlace, list, money } from "./words.js";

const NOTHING = "Nothing was charged.";
const CLOSED = "Nothing was charged, and a late answer cannot charge you either: the bank has confirmed that this payment is closed.";
const NOT_STARTED = "No payment was started, so nothing was charged.";

/** By failure code: the headline, the line below it, the reason, the money. */
const FAILURES = {
  ORDER_EXPIRED: {
    headline: "Time ran out, and the seats went back.",
    first: NOTHING,
    what: (order) => `Your time ended at ${atPlace(order.expiresAt).time}, before a payment began.`,
    money: NOT_STARTED,
  },
  PAYMENT_DECLINED: {
    headline: "The bank declined the payment.",
    first: NOTHING,
    what: "The bank said no to this code, and that is final for this payment. Another code may work.",
    money: CLOSED,
  },
  PAYMENT_FAILED: {
    headline: "The payment did not go through.",
    first: NOTHING,
    what: ({ maxPaymentAttempts: attempts }) =>
      `The bank failed to answer${attempts > 1 ? ` ${attempts} times` : ""}, so we stopped asking and closed the payment for good.`,
    money: CLOSED,
  },
  CANCELLED: {
    headline: "The booking was cancelled.",
    first: NOTHING,
    // By the customer, or by an operator, who can cancel during a payment; the payment is closed then.
    what: (order) => order.failureReason,
    money: NOTHING,
  },
  SEATS_LOST: {
    headline: "We could not keep your seats.",
    first: "Your money goes back to you.",
    what: "Your payment was accepted, but the seats were no longer ours to give. We are sorry.",
    money: (order) => `${money(order.totalPriceCents, order.currency)} is being given back, all of it.`,
  },
  REFUNDED: {
    headline: "This booking was undone.",
    first: "Your money went back to you.",
    what: "The airline took the booking back after it was paid.",
    money: (order) => `${money(order.totalPriceCents, order.currency)} was given back, all of it.`,
  },
  INTERNAL: {
    headline: "Something went wrong with this booking.",
    first: NOTHING,
    what: (order) => `${order.failureReason} The seats were given back.`,
    money: NOTHING,
  },
};

const NEVER_HELD = {
  headline: "The seats could not be held.",
  first: NOTHING,
  what: (order) => order.failureReason,
  money: NOT_STARTED,
};

/**
 * The view of an order that ended without a booking.
 *
 * @param {import("./order_views.js").Known} known
 * @param {{onAgain: () => void}} listeners
 */
export function endedView(known, { onAgain }) {
  const { order } = known;
  const view = copyOf("ended");
  const ending = FAILURES[order.failureCode] ?? NEVER_HELD;
  const told = (text) => (typeof text === "function" ? text(order) : text);
  const wasAsked = ["PAYMENT_DECLINED", "PAYMENT_FAILED"].includes(order.failureCode);
  fill(view, {
    headline: ending.headline,
    "money-first": ending.first,
    what: told(ending.what),
    detail: [
      `Reason: ${order.failureCode}`,
      ...(wasAsked ? [`Attempts: ${order.paymentAttempts} of ${order.maxPaymentAttempts}`] : []),
    ].join(" · "),
    money: told(ending.money),
  });
  view.querySelector(".pane").dataset.shade = order.status === "EXPIRED" ? "" : "half";
  part(view, "other").href = at(known.flight ? `/flights/${known.flight.id}` : "/");
  const again = part(view, "again");
  again.addEventListener("click", onAgain);
  drawEnded(view, known, { asking: "" });
  return view;
}

/** Draw the part that may have changed: whether the seats are free. */
export function drawEnded(view, known, { asking }) {
  const { order, flight } = known;
  const seats = named(order.seats);
  const verb = ["PAYMENT_DECLINED", "PAYMENT_FAILED"].includes(order.failureCode) ? "Try again with" : "Hold";
  const tail = verb === "Hold" ? " again" : "";
  const again = part(view, "again");
  const total = money(order.totalPriceCents, order.currency);
  const offer = `${verb} ${seats}${tail} for ${total}`;
  fill(view, { again: asking === "again" ? `Holding ${seats}…` : offer, seats: seatsNow(known) });
  again.setAttribute("aria-disabled", asking !== "");
  again.setAttribute("aria-busy", asking === "again");
  show(again, order.seats.length > 0 && flight !== null && takenOf(known).length === 0);
}

/** Describe the seats at this moment. */
function seatsNow(known) {
  const { order, flight } = known;
  if (order.seats.length === 0 || flight === null) return "No seat was held.";
  const [seats, taken] = [named(order.seats), takenOf(known)];
  const back = `${seats} on ${flight.flightNumber} went back on sale.`;
  if (taken.length === 0) return `${back} ${order.seats.length === 1 ? "It is" : "They are"} still free at this moment.`;
  return `${back} By now ${list(taken)} ${areFor(taken.length)} no longer free.`;
}

function takenOf({ order, flight }) {
  const free = new Set((flight?.seatMap.seats ?? []).filter((seat) => seat.status === "available").map((seat) => seat.id));
  return order.seats.filter((seat) => !free.has(seat));
}

/** Show that the same seats could not be held again, and alternatives with their prices. */
export function showClash(view, problem, { currency, onChoose }) {
  const taken = (problem.conflicts ?? []).map(({ seat }) => seat);
  const title = taken.length ? `${list(taken)} ${taken.length === 1 ? "was" : "were"} just taken.` : problem.detail;
  const alternatives = problem.alternatives ?? [];
  const isRefused = problem.error !== undefined;
  const text = alternatives.length ? "Nothing is held. Closest:" : isRefused ? "Nothing is held." : "";
  const acts = alternatives.map(({ seats, totalPriceCents: cents }) => ({
    words: `${seats.join(", ")} for ${money(cents, currency)}`,
    act: () => onChoose(seats, cents),
  }));
  showRefusal(view, { title, text, acts });
}

/** Show that the total is not the one that this page showed, and offer the seats at the new one. */
export function showQuote(view, { seats, expectedTotalCents, problem, currency }, onAgree) {
  const now = problem.totalPriceCents;
  const [before, after] = [expectedTotalCents, now].map((cents) => money(cents, currency));
  showRefusal(view, {
    title: "The price has changed.",
    text: `${named(seats)} cost ${before} before, and ${after} now. Nothing is held.`,
    acts: [{ words: `Hold ${named(seats)} for ${after}`, act: () => onAgree(seats, now) }],
  });
}

function showRefusal(view, { title, text, acts }) {
  fill(view, { "clash-title": title, "clash-text": text });
  const buttons = acts.map(({ words, act }, number) =>
    el("button", { type: "button", class: number ? "btn line slim" : "btn slim", onclick: act }, words),
  );
  part(view, "clash-acts").replaceChildren(...buttons);
  show(part(view, "clash"), true);
  say(`${title} ${text} ${acts.map(({ words }) => words).join(", or ")}`, { atOnce: true });
}
