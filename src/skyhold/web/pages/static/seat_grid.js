// The seats as a grid: its elements, its keyboard, its one tab stop. It draws the states that it gets and reports which
// seat was pressed; the picker decides what that means.

import { el } from "./dom.js";
import { cutCabin, service, wings } from "./seat_hull.js";
import { nameOf } from "./seat_states.js";
import { money, sentence } from "./words.js";
import { TypeAhead } from "./type_ahead.js";

const PAGE_ROWS = 5;
const MOST_DASHES = 3;

export class SeatGrid {
  #plan;
  #cells = new Map();
  #drawn = new Map();
  #columns;
  #stop;
  #goal = null;

  /**
   * @param {import("./seat_plan.js").SeatPlan} plan
   * @param {{onPress: (id: string, event: Event) => void}} listeners
   */
  constructor(plan, { onPress }) {
    this.#plan = plan;
    this.#columns = columnsOf(plan);
    this.element = this.#grid();
    this.#stop = plan.seats.find((seat) => seat.status === "available") ?? plan.seats[0];
    if (this.#stop) this.cell(this.#stop.id).tabIndex = 0;
    const typed = new TypeAhead((text) => this.#typed(text));
    this.element.addEventListener("click", (event) => seatOf(event) && onPress(seatOf(event), event));
    this.element.addEventListener("focusin", (event) => seatOf(event) && this.#moveStop(plan.seat(seatOf(event))));
    this.element.addEventListener("keydown", (event) => this.#key(event) || typed.key(event));
  }

  /** The element of a seat. */
  cell(id) {
    return this.#cells.get(id);
  }

  /** The seat under an event, or the focused one. */
  seatOf(event) {
    return seatOf(event);
  }

  get focused() {
    return this.element.contains(document.activeElement) ? seatOf({ target: document.activeElement }) : null;
  }

  /** Put the tab stop on a seat without moving focus; ignored while the grid has it. */
  rest(id) {
    if (!this.focused) this.#moveStop(this.#plan.seat(id));
  }

  /** Draw one seat. Only what differs from last time is written. */
  draw(seat, state, { isDim, isHit, isNear }) {
    const cell = this.cell(seat.id);
    const before = this.#drawn.get(seat.id) ?? {};
    const now = { ...state, isDim, isHit, isNear, tier: seat.tier };
    this.#drawn.set(seat.id, now);
    if (now.look !== before.look) setOrDrop(cell, "data-st", now.look);
    const isNamedAnother = now.said !== before.said || now.priceCents !== before.priceCents;
    if (isNamedAnother) cell.setAttribute("aria-label", nameOf(this.#plan, seat, now));
    if (now.tier !== before.tier) setOrDrop(cell, "data-tier", now.tier ? Math.min(now.tier, MOST_DASHES) : null);
    if (now.isBusy !== before.isBusy) setOrDrop(cell, "aria-busy", now.isBusy ? "true" : null);
    if (now.isPressable !== before.isPressable) setOrDrop(cell, "aria-disabled", now.isPressable ? null : "true");
    const selected = state.isSelectable ? String(state.isSelected) : null;
    if (selected !== cell.getAttribute("aria-selected")) setOrDrop(cell, "aria-selected", selected);
    if (isDim !== before.isDim) cell.classList.toggle("dim", isDim);
    if (isHit !== before.isHit) cell.classList.toggle("hit", isHit);
    if (isNear !== before.isNear) cell.classList.toggle("near", isNear);
  }

  /** Draw the prices of each cabin again. */
  drawPrices() {
    for (const cabin of this.#plan.cabins) {
      this.head(cabin).lastChild.textContent = headFacts(cabin, this.#plan.currency);
    }
  }

  /** The element of the head of a cabin. */
  head(cabin) {
    return this.element.querySelector(`#${headId(cabin)}`);
  }

  #moveStop(seat) {
    if (!seat || seat === this.#stop) return;
    this.cell(this.#stop.id).tabIndex = -1;
    this.cell(seat.id).tabIndex = 0;
    this.#stop = seat;
  }

  // A seat reached by a key scrolls into view by the shortest way; the browser's own focusing would jump half a page.
  #focus(seat) {
    const cell = this.cell(seat.id);
    cell.focus({ preventScroll: true });
    cell.scrollIntoView({ block: "nearest", inline: "nearest", behavior: "instant" });
  }

  #key(event) {
    const seat = this.#plan.seat(seatOf(event));
    if (!seat || event.altKey || event.metaKey) return false;
    const target = this.#target(seat, event.key, event.ctrlKey);
    if (!target) return false;
    event.preventDefault();
    this.#focus(target);
    return true;
  }

  #target(seat, key, isControl) {
    const { rows, seats } = this.#plan;
    const row = seat.place;
    const at = row.seats.indexOf(seat);
    const vertical = { ArrowUp: -1, ArrowDown: 1, PageUp: -PAGE_ROWS, PageDown: PAGE_ROWS }[key];
    if (vertical) return this.#inRow(rows[clamp(row.index + vertical, rows.length)], seat);
    this.#goal = null;
    if (key === "ArrowLeft") return row.seats[at - 1] ?? seat;
    if (key === "ArrowRight") return row.seats[at + 1] ?? seat;
    if (key === "Home") return (isControl ? seats : row.seats)[0];
    if (key === "End") return (isControl ? seats : row.seats).at(-1);
    return null;
  }

  // Moving up and down keeps the column where it began, through cabins that have other columns.
  #inRow(row, seat) {
    if (this.#goal?.at !== seat.id) this.#goal = { x: seat.x };
    const { x } = this.#goal;
    const found = row.seats.reduce((a, b) => (Math.abs(b.x - x) < Math.abs(a.x - x) ? b : a));
    this.#goal = { x, at: found.id };
    return found;
  }

  #typed(text) {
    const column = this.#plan.seat(this.focused)?.column;
    const row = this.#plan.rows.find(({ number }) => String(number) === text);
    const seat = this.#plan.seat(text) ?? row?.seats.find((other) => other.column === column) ?? row?.seats[0];
    if (seat) this.#focus(seat);
  }

  #grid() {
    const { cabins, rows, flightNumber } = this.#plan;
    const wing = wings(this.#plan);
    let index = 0;
    const groups = cabins.map((cabin, place) => {
      const head = this.#head(cabin, (index += 1));
      const drawn = cabin.rows.map((row) => this.#row(row, (index += 1), wing));
      const group = el("div", { role: "rowgroup", "aria-labelledby": headId(cabin) }, head, ...drawn);
      cutCabin(group, cabin, this.#plan);
      // A gap in the row numbers is a gap in the cabin, where a galley is.
      const gap = place > 0 && cabin.firstRow > cabins[place - 1].lastRow + 1;
      return gap ? [service("galley"), group] : [group];
    });
    const props = {
      role: "grid",
      "aria-label": `Seat map of ${flightNumber}`,
      "aria-description": "Arrow keys move, Space chooses a seat. Type a row and a letter to go to a seat.",
      "aria-rowcount": rows.length + cabins.length,
      "aria-colcount": this.#columns.size + 1,
      "aria-multiselectable": "true",
    };
    return el("div", props, ...groups.flat());
  }

  #head(cabin, index) {
    const span = this.#columns.size + 1;
    const props = { role: "rowheader", "aria-colindex": 1, "aria-colspan": span, id: headId(cabin) };
    const title = el("h2", {}, sentence(cabin.name));
    const facts = el("span", {}, headFacts(cabin, this.#plan.currency));
    return el("div", { role: "row", "aria-rowindex": index, class: "row head" }, el("div", props, title, facts));
  }

  #row(row, index, wing) {
    const number = el("div", { class: "num", role: "rowheader", "aria-colindex": 1 }, row.number);
    const parts = row.blocks.map((block, place) => {
      const again = place > 1 ? [el("span", { class: "num", "aria-hidden": "true" }, row.number)] : [];
      return [...again, ...block.map((seat) => (seat ? this.#cell(seat) : el("span", { "aria-hidden": "true" })))];
    });
    const props = { role: "row", "aria-label": `Row ${row.number}`, "aria-rowindex": index, class: "row" };
    const made = el("div", props, number, ...parts.flat());
    if (row.isExit) {
      made.classList.add("exit");
      made.prepend(el("i", { "aria-hidden": "true" }, "‹ Exit"), el("i", { "aria-hidden": "true" }, "Exit ›"));
    }
    if (row === wing.row) {
      made.classList.add("wing");
      made.style.setProperty("--span", wing.span);
    }
    return made;
  }

  #cell(seat) {
    const props = {
      type: "button",
      role: "gridcell",
      class: "s",
      id: `s${seat.id}`,
      "data-seat": seat.id,
      tabindex: -1,
      "aria-colindex": this.#columns.get(seat.column) + 1,
    };
    const cell = el("button", props, seat.column);
    this.#cells.set(seat.id, cell);
    return cell;
  }
}

// Letters of all cabins share one count of columns, so that H is in one column from nose to tail.
function columnsOf(plan) {
  const letters = new Set(plan.seats.map((seat) => seat.column));
  return new Map([...letters].sort().map((letter, index) => [letter, index + 1]));
}

function headId(cabin) {
  return `cabin-${cabin.index + 1}`;
}

function headFacts({ firstRow, lastRow, letters, prices }, currency) {
  const price = money(prices[0], currency);
  const across = letters.map((block) => block.length).join("-");
  return `Rows ${firstRow} to ${lastRow}, ${across}, ${prices.length > 1 ? `from ${price}` : `${price} a seat`}`;
}

function seatOf({ target }) {
  return target.closest("[data-seat]")?.dataset.seat ?? null;
}

function setOrDrop(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else element.setAttribute(name, value);
}

function clamp(index, length) {
  return Math.max(0, Math.min(length - 1, index));
}
