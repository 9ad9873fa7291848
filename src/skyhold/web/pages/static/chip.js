// The chip in the head of a page: the customer's hold that expires first, on any flight.
// It reads the customer's orders anyway, so it passes them to the page's own listener too.

import { at, read } from "./api.js";
import { Countdown } from "./countdown.js";
import { el, fill, part } from "./dom.js";
import { presence } from "./presence.js";
import { list } from "./words.js";

/**
 * Show the customer's holds in the head of the page, except those on one flight.
 *
 * @param {HTMLElement} nav
 * @param {{exceptFlight?: string, onOrders?: (orders: any[]) => void}} [where] the flight whose holds the page shows
 *   itself; the listener for the newest orders
 */
export function showHolds(nav, { exceptFlight, onOrders = () => {} } = {}) {
  const chip = el(
    "a",
    { class: "chip", hidden: true },
    el("span", { class: "pane", "aria-hidden": "true" }),
    el("span", {}, el("span", { "data-part": "seats" }), " ", el("span", { "data-part": "clock" }), spoken(" left")),
  );
  nav.prepend(chip);
  const countdown = new Countdown({ onDraw: (left) => draw(chip, left), onEnd: look });
  presence.addEventListener("wake", look);
  look();

  async function look() {
    const orders = await read("/api/orders?limit=20").then(({ body }) => body.orders, () => null);
    if (orders === null) return;
    onOrders(orders);
    const held = orders.filter((order) => order.status === "SEATS_RESERVED" && order.timerRemaining > 0);
    const shown = held.filter((order) => order.flightId !== exceptFlight);
    const first = shown.sort((one, other) => (one.expiresAt < other.expiresAt ? -1 : 1))[0];
    chip.hidden = !first;
    if (!first) return countdown.stop();
    chip.href = at(`/orders/${first.orderId}`);
    part(chip, "seats").replaceChildren(seatsOf(first), spoken(" on hold for you,"));
    countdown.runTo(first.expiresAt, first.updatedAt);
  }
}

function draw(chip, { digits, share }) {
  fill(chip, { clock: digits });
  chip.querySelector(".pane").style.setProperty("--t", share.toFixed(3));
}

function seatsOf({ seats }) {
  return seats.length <= 3 ? list(seats) : `${seats.length} seats`;
}

function spoken(text) {
  return el("span", { class: "vh" }, text);
}
