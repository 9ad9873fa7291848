// The boarding pass of a confirmed order.

import { copyOf, el, fill, part } from "./dom.js";
import { NAMED } from "./order_views.js";
import { areFor, atPlace, count, duration, list, money, sentence, skyAt } from "./words.js";

const ROWS_DRAWN = 3;

/** @param {import("./order_views.js").Known} known */
export function confirmedView(known) {
  const { order, flight, plan, cities } = known;
  const view = copyOf("confirmed");
  const [departs, arrives] = [
    atPlace(flight.departureTime, flight.departureZone),
    atPlace(flight.arrivalTime, flight.arrivalZone),
  ];
  const paid = money(order.totalPriceCents, order.currency);
  fill(view, {
    headline: `${headlineOf(order.seats)} yours for good.`,
    "paid-once": `Paid once, ${paid}. Keep the reference, it is all you need at the desk.`,
    number: flight.flightNumber,
    origin: flight.origin,
    destination: flight.destination,
    "origin-city": cities.origin,
    "destination-city": cities.destination,
    departs: departs.time,
    "departs-day": `${departs.zone}, ${departs.day}`,
    arrives: arrives.time,
    "arrives-day": `${arrives.zone}, ${arrives.day}`,
    seats: order.seats.join(", "),
    cabin: list([...new Set(order.seats.map((seat) => sentence(plan.seat(seat).cabin)))]),
    duration: duration(flight.departureTime, flight.arrivalTime),
    paid,
    reference: order.reference,
    confirmed: `Confirmed ${confirmedAt(order.confirmedAt)}, your time`,
  });
  part(view, "origin").title = cities.origin;
  part(view, "destination").title = cities.destination;
  part(view, "sky").dataset.sky = skyAt(departs.time);
  part(view, "rows").append(...rowsOf(order.seats, flight));
  part(view, "print").addEventListener("click", () => print());
  return view;
}

function headlineOf(seats) {
  if (seats.length === 1) return `Seat ${seats[0]} is`;
  return seats.length > NAMED ? `${count(seats.length, "seat")} are` : `Seats ${list(seats)} are`;
}

function confirmedAt(instant) {
  const { day, time } = atPlace(instant);
  return `${day} ${new Date(instant).getFullYear()}, ${time}`;
}

/** The rows of the seats, drawn with their aisles. */
function rowsOf(seats, flight) {
  const rows = new Map();
  for (const id of seats) {
    const row = Number.parseInt(id, 10);
    rows.set(row, [...(rows.get(row) ?? []), id.slice(String(row).length)]);
  }
  const drawn = [...rows].sort(([one], [other]) => one - other);
  const more = drawn.length - ROWS_DRAWN;
  return [
    ...drawn.slice(0, ROWS_DRAWN).flatMap(([row, letters]) => rowOf(row, letters, flight)),
    ...(more > 0 ? [el("p", { class: "small muted" }, `and ${count(more, "row")} more`)] : []),
  ];
}

function rowOf(row, letters, flight) {
  const { layout } = flight.seatMap.cabins.find((cabin) => cabin.firstRow <= row && row <= cabin.lastRow);
  const mine = new Set(letters);
  const words = `Row ${row}: ${list([...mine])} ${areFor(mine.size)} yours${sideOf(letters, layout)}`;
  const firstAisle = layout.indexOf(" ");
  const marks = [...layout].map((letter, place) =>
    letter === " "
      ? el("span", {}, place === firstAisle && row)
      : el("i", { class: mine.has(letter) ? "me" : null }, letter),
  );
  return [
    el("p", { class: "small muted" }, `Row ${row}${sideOf(letters, layout)}`),
    el("div", { class: "mini", role: "img", "aria-label": words }, ...marks),
  ];
}

function sideOf(letters, layout) {
  const blocks = layout.split(" ");
  const touched = new Set(letters.map((letter) => blocks.findIndex((block) => block.includes(letter))));
  if (touched.size !== 1) return "";
  const [block] = touched;
  if (block === 0) return ", left side";
  return block === blocks.length - 1 ? ", right side" : ", in the middle";
}
