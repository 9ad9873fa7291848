// The customer's bookings: a ticket for each, with a link to the boarding pass.

import { at, read } from "./api.js";
import { el, part, show } from "./dom.js";
import { atPlace } from "./words.js";

const SHOWN = 6;

/**
 * Show the confirmed orders among these; they are the newest first, as the API lists them.
 *
 * @param {HTMLElement} section
 * @param {any[]} orders bodies of `GET /api/orders`
 */
export async function showBookings(section, orders) {
  const booked = orders.filter((order) => order.status === "CONFIRMED").slice(0, SHOWN);
  const ids = [...new Set(booked.map((order) => order.flightId))];
  const found = await Promise.all(ids.map((id) => read(`/api/flights/${id}`).catch(() => ({ body: null }))));
  const flights = new Map(ids.map((id, number) => [id, found[number].body]));
  part(section, "tickets").replaceChildren(...booked.map((order) => ticket(order, flights.get(order.flightId))));
  show(section, booked.length > 0);
}

function ticket({ orderId, reference, seats }, flight) {
  const link = el("a", { class: "ticket", href: at(`/orders/${orderId}`) }, el("b", {}, reference));
  if (flight) {
    const { day, time, zone } = atPlace(flight.departureTime, flight.departureZone);
    link.append(el("span", {}, `${flight.origin} to ${flight.destination}`), el("span", {}, `${day}, ${time} ${zone}`));
  }
  link.append(el("span", {}, seats.join(", ")));
  return el("li", {}, link);
}
