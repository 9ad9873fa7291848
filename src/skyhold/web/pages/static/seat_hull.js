// The aircraft around the seats: nose, wings, galleys, tail, and how wide everything is. Only decoration, all hidden
// from screen readers; the seats are drawn by seat_grid.js.

import { el, icon } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const GLASS =
  "M76 4v27H44l-8-15C48 9 62 5 76 4zM84 4v27h32l8-15C112 9 98 5 84 4zM29 20l9 16-22 6c1-9 6-16 13-22z" +
  "M131 20l-9 16 22 6c-1-9-6-16-13-22z";
const WING_OF_ROWS = 0.3;
const LONGEST_WING_ROWS = 10;
const WIDE_SEATS = 8;

/** The hull with `grid`, the seats, inside. */
export function hull(plan, grid) {
  const cols = Math.max(...plan.cabins.map((cabin) => seatsAcross(cabin)));
  const aisles = Math.max(...plan.cabins.map((cabin) => Math.max(1, cabin.letters.length - 1)));
  const made = el("div", { class: cols >= WIDE_SEATS ? "hull wide-body" : "hull" }, nose(), grid, service("galley"));
  made.append(el("div", { class: "tail", "aria-hidden": "true" }));
  made.style.setProperty("--cols", cols);
  made.style.setProperty("--aisles", aisles);
  return made;
}

/** A galley and a lavatory across the cabin. */
export function service(first) {
  const names = { galley: "Galley", lavatory: "Lavatory" };
  const second = first === "galley" ? "lavatory" : "galley";
  const signs = [first, second].map((name) => el("span", {}, icon(name), names[name]));
  return el("div", { class: "service", "aria-hidden": "true" }, ...signs);
}

/** Set the columns of a cabin, and its room: a cabin of fewer, wider seats fills the same hull. */
export function cutCabin(group, cabin, plan) {
  const seats = cabin.letters.map((block) => `repeat(${block.length}, var(--p))`);
  const isSplit = seats.length > 1;
  group.style.setProperty("--cut", isSplit ? seats.join(" minmax(0, 1fr) ") : `minmax(0, 1fr) ${seats[0]}`);
  group.style.setProperty("--number-at", isSplit ? cabin.letters[0].length + 1 : 1);
  const roomy = plan.cabins.filter((other) => room(other, plan) >= 1.4);
  if (!roomy.includes(cabin)) return;
  const isGrandest = roomy.length > 1 && roomy.every((other) => other.prices[0] <= cabin.prices[0]);
  group.classList.add(isGrandest && room(cabin, plan) >= 1.7 ? "suites" : "roomy");
}

/** The row where the wings begin, and how many rows they span: around the exit nearest to the middle. */
export function wings(plan) {
  const middle = (plan.rows.length - 1) / 2;
  const byMiddle = (one, other) => Math.abs(one.index - middle) - Math.abs(other.index - middle);
  const anchor = plan.rows.filter((row) => row.isExit).sort(byMiddle)[0]?.index ?? Math.round(middle);
  const span = Math.max(1, Math.min(LONGEST_WING_ROWS, Math.round(plan.rows.length * WING_OF_ROWS)));
  return { row: plan.rows[Math.max(0, anchor - Math.round(span * 0.4))], span };
}

function room(cabin, plan) {
  return Math.max(...plan.cabins.map(seatsAcross)) / seatsAcross(cabin);
}

function seatsAcross(cabin) {
  return cabin.letters.join("").length;
}

function nose() {
  const glass = document.createElementNS(SVG, "svg");
  glass.setAttribute("class", "glass");
  glass.setAttribute("viewBox", "0 0 160 46");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", GLASS);
  glass.append(path);
  return el("div", { class: "nose", "aria-hidden": "true" }, glass, service("lavatory"));
}
