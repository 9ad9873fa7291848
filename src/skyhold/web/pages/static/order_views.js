// The views of an open order: held with the clock running, then paying while the bank decides.
//
// Each view is a template of parts/order_views.html: made once, then only its words change.

import { at } from "./api.js";
import { drawDial } from "./countdown.js";
import { copyOf, el, fill, part, show } from "./dom.js";
import { areFor, atPlace, count, digits, list, money } from "./words.js";

/** Up to so many seats are named in a headline. */
export const NAMED = 4;

/**
 * @typedef {{order: any, flight: any, plan: import("./seat_plan.js").SeatPlan, cities: {origin: string, destination: string}}} Known
 * the data of the page: replies of the API, and the names of the airports' cities
 */

/** The view of a hold; `onPay` gets the code, which is not stored. */
export function heldView(known, { onPay, onRelease }) {
  const view = copyOf("held");
  const input = part(view, "code");
  part(view, "form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (part(view, "pay").getAttribute("aria-disabled") === "true") return;
    const code = input.value;
    if (!/^[0-9]{5}$/.test(code)) return showFault(view, "Five digits, please: 0 to 9, nothing else.");
    input.value = "";
    showFault(view, "");
    onPay(code);
  });
  // Other characters around the digits are never meant; `maxlength` would cut before they are removed.
  input.addEventListener("input", () => {
    const digitsOnly = input.value.replace(/[^0-9]/g, "").slice(0, 5);
    if (input.value !== digitsOnly) input.value = digitsOnly;
    showFault(view, "");
  });
  part(view, "release").addEventListener("click", onRelease);
  part(view, "change").href = at(`/flights/${known.order.flightId}?order=${known.order.orderId}`);
  drawHeld(view, known, { asking: "" });
  return view;
}

/** Draw the changes of a hold. */
export function drawHeld(view, known, { asking, why = "" }) {
  const { order } = known;
  const total = money(order.totalPriceCents, order.currency);
  const isChecking = asking === "check";
  fill(view, {
    headline: isChecking ? "Checking…" : `${named(order.seats)} ${areFor(order.seats.length)} yours.`,
    cap: isChecking ? "Time is up. We ask how it ended." : `to pay, until ${atPlace(order.expiresAt).time} your time`,
    "pay-title": `Pay ${total}`,
    pay: asking === "pay" ? "Sending the code…" : `Pay ${total}`,
    release: asking === "release" ? "Giving back…" : order.seats.length === 1 ? "Give the seat back" : "Give the seats back",
    why,
  });
  show(part(view, "why"), why !== "");
  // Not `disabled`: a button that was just pressed would lose the focus.
  for (const name of ["pay", "release"]) part(view, name).setAttribute("aria-disabled", asking !== "");
  part(view, "pay").setAttribute("aria-busy", asking === "pay");
  drawFacts(view, known);
}

/** Show an error of the code, beside its field. */
export function showFault(view, text) {
  const input = part(view, "code");
  fill(view, { fault: text });
  if (text) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
  if (text) input.focus();
}

/** The view of a payment under way. */
export function payingView(known, left) {
  const view = copyOf("paying");
  drawPaying(view, known, left);
  return view;
}

/** Draw the changes of a payment; `left` is the time at which the clock stopped, if that is known. */
export function drawPaying(view, known, left) {
  const { order } = known;
  const { paymentAttempts: attempt, maxPaymentAttempts: attempts } = order;
  const isAsked = order.status === "PAYMENT_PROCESSING" && attempt > 0;
  fill(view, {
    "pay-title": `Paying ${money(order.totalPriceCents, order.currency)}`,
    attempt: isAsked ? `Contacting the bank, attempt\u00a0${attempt}\u00a0of\u00a0${attempts}` : "Contacting the bank",
    before: beforeAttempt(isAsked ? attempt : 1),
  });
  const tries = Array.from({ length: attempts }, (_, n) => (n + 1 < attempt ? "gone" : n + 1 === attempt ? "on" : null));
  part(view, "tries").replaceChildren(...tries.map((kind) => el("i", { class: kind })));
  const dial = part(view, "dial");
  show(part(dial, "clock"), left !== null);
  if (left !== null) drawDial(dial, { digits: digits(left.milliseconds), share: left.share, mood: "" });
  drawFacts(view, known);
}

function beforeAttempt(attempt) {
  const once = "You are charged once at most, however often we ask.";
  if (attempt < 2) return "This takes a few seconds. You are charged once at most.";
  return `${attempt === 2 ? "The first attempt" : "The attempts before"} brought no decision. ${once}`;
}

function drawFacts(view, known) {
  const box = part(view, "facts");
  if (!box.firstElementChild) box.append(copyOf("facts"));
  const { order, flight, plan, cities } = known;
  const departs = atPlace(flight.departureTime, flight.departureZone);
  fill(box, {
    number: flight.flightNumber,
    route: `${flight.origin} to ${flight.destination}`,
    departs: `${departs.day}, ${departs.time}`,
    from: `${departs.zone}, ${cities.origin}`,
    seats: order.seats.join(", "),
    positions: positionsOf(order.seats, plan),
    total: money(order.totalPriceCents, order.currency),
    prices: pricesOf(order),
  });
}

/** "14A and 14B", or "7 seats" where the names would fill the page. */
export function named(seats) {
  return seats.length <= NAMED ? list(seats) : count(seats.length, "seat");
}

function positionsOf(seats, plan) {
  return [...new Set(seats.map((seat) => plan.seat(seat)?.position).filter(Boolean))].join(", ");
}

/** "2 seats at $350", or "1 at $350, 2 at $420". */
function pricesOf({ seatPrices, currency }) {
  const prices = new Map();
  for (const { priceCents } of seatPrices) prices.set(priceCents, (prices.get(priceCents) ?? 0) + 1);
  if (prices.size === 1) return `${count(seatPrices.length, "seat")} at ${money(seatPrices[0].priceCents, currency)}`;
  return [...prices].map(([cents, number]) => `${number} at ${money(cents, currency)}`).join(", ");
}
