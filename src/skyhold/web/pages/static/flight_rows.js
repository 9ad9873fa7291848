// The rows of the list: made of the page's own template, filled, and changed in place when their numbers change.

import { at } from "./api.js";
import { copyOf, fill, part } from "./dom.js";
import { atPlace, duration, money, skyAt } from "./words.js";

/** A flight with at most this percentage of its seats free is filling up. */
const FILLING_UP = 10;

export class FlightRows {
  #board;
  #cities;
  /** @type {Map<string, HTMLElement>} */
  #rows;

  /**
   * @param {HTMLElement} board with the rows that the server wrote
   * @param {Map<string, string>} cities names by code
   */
  constructor(board, cities) {
    this.#board = board;
    this.#cities = cities;
    this.#rows = new Map([...board.children].map((row) => [row.dataset.flight, row]));
  }

  /** Show these flights in this order. Existing rows are kept, so a focused link keeps the focus. */
  show(flights) {
    const rows = new Map(flights.map((flight) => [flight.id, this.#rows.get(flight.id) ?? copyOf("leg")]));
    for (const flight of flights) this.#fill(rows.get(flight.id), flight);
    const wanted = [...rows.values()];
    for (const row of [...this.#board.children]) if (!wanted.includes(row)) row.remove();
    wanted.forEach((row, place) => {
      const there = this.#board.children[place] ?? null;
      if (there !== row) this.#board.insertBefore(row, there);
    });
    this.#rows = rows;
  }

  /** Show other rows in the place of the flights. */
  replaceWith(rows) {
    this.#rows = new Map();
    this.#board.replaceChildren(...rows);
  }

  focus(id) {
    const row = this.#rows.get(id);
    if (row) part(row, "link").focus();
  }

  #fill(row, flight) {
    const [departs, arrives] = [
      atPlace(flight.departureTime, flight.departureZone),
      atPlace(flight.arrivalTime, flight.arrivalZone),
    ];
    const city = (code) => this.#cities.get(code) ?? code;
    row.dataset.flight = flight.id;
    part(row, "link").href = at(`/flights/${flight.id}`);
    part(row, "origin").title = city(flight.origin);
    part(row, "destination").title = city(flight.destination);
    part(row, "departs").dateTime = flight.departureTime;
    part(row, "arrives").dateTime = flight.arrivalTime;
    fill(row, {
      origin: flight.origin,
      destination: flight.destination,
      cities: `${city(flight.origin)} to ${city(flight.destination)}`,
      departs: departs.time,
      departure: `${departs.zone}, ${departs.day}`,
      lasts: duration(flight.departureTime, flight.arrivalTime),
      arrives: arrives.time,
      arrival: departs.day === arrives.day ? arrives.zone : `${arrives.zone}, ${arrives.day}`,
      price: money(flight.priceCents, flight.currency),
      number: flight.flightNumber,
      ...wordsOfSeats(flight),
    });
    fillSeats(row, flight, skyAt(departs.time));
  }
}

function wordsOfSeats({ availableSeats: left, totalSeats: all }) {
  if (left === 0) return { left: "Sold out", hint: "seats on hold may come back" };
  return { left: `${left} of ${all}`, hint: left * 100 <= all * FILLING_UP ? "seats left, filling up" : "seats left" };
}

function fillSeats(row, { availableSeats: left, totalSeats: all }, sky) {
  row.classList.toggle("out", left === 0);
  const pane = part(row, "pane");
  pane.dataset.sky = sky;
  pane.toggleAttribute("data-shade", left === 0);
  part(row, "gauge").setAttribute("width", all ? Math.ceil((100 * left) / all) : 0);
}
