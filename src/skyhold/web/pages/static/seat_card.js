// The card with price and facts of the seat under the mouse or under the keyboard's focus. Not for touch, where it
// would cover the seats to press, except to show why a seat was refused. Its words are in the seat's own name too, so
// it is hidden from screen readers. Escape hides it, and the mouse can move onto it (WCAG 1.4.13).

import { el, fill, show } from "./dom.js";
import { money, sentence } from "./words.js";

const REST_MS = 120;
const GAP_PX = 12;
const EDGE_PX = 8;

export class SeatCard {
  #plan;
  #grid;
  #cabin;
  #topEdge;
  #stateOf;
  #shown = null;
  #hovered = null;
  #pressed = null;
  #timer = 0;
  #height = null;
  #isRising = false;

  /**
   * @param {import("./seat_plan.js").SeatPlan} plan
   * @param {import("./seat_grid.js").SeatGrid} grid
   * @param {{cabin: Element, stateOf: (seat: object) => object, topEdge: () => number}} around
   */
  constructor(plan, grid, { cabin, stateOf, topEdge }) {
    this.#plan = plan;
    this.#grid = grid;
    this.#cabin = cabin;
    this.#stateOf = stateOf;
    this.#topEdge = topEdge;
    const words = (name, part) => el(name, { "data-part": part });
    const head = el("div", {}, words("b", "seat"), words("b", "price"));
    this.element = el("div", { class: "card", "aria-hidden": "true", hidden: true }, head);
    this.element.append(words("p", "facts"), words("p", "state"), words("p", "note"));
    cabin.append(this.element);
    this.#listen();
  }

  #listen() {
    const grid = this.#grid.element;
    grid.addEventListener("pointerover", (event) => this.#over(event));
    grid.addEventListener("pointerout", (event) => event.pointerType !== "touch" && this.#leave());
    grid.addEventListener("pointerdown", (event) => this.#press(event));
    grid.addEventListener("focusin", ({ target }) => target.matches(":focus-visible") && this.#show(target));
    grid.addEventListener("focusout", () => this.hide());
    this.element.addEventListener("pointerenter", () => clearTimeout(this.#timer));
    this.element.addEventListener("pointerleave", () => this.#leave());
    this.element.addEventListener("pointerdown", () => this.hide());
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.hide());
    document.addEventListener("pointerdown", ({ target }) => !this.#cabin.contains(target) && this.hide());
    document.addEventListener("scroll", () => this.#place(), { passive: true });
  }

  /** Show why a seat was refused, for every kind of pointer. */
  note(id, text) {
    this.#show(this.#grid.cell(id), text);
  }

  /** Draw the card again, if it shows this seat. */
  refresh(id) {
    if (this.#shown === id) this.#fill(this.#plan.seat(id));
  }

  hide() {
    clearTimeout(this.#timer);
    this.#shown = null;
    show(this.element, false);
  }

  // After a press the customer wants the neighbours next: the card is hidden until the mouse has been elsewhere.
  #press(event) {
    this.#pressed = this.#grid.seatOf(event);
    this.hide();
  }

  #over(event) {
    const id = this.#grid.seatOf(event);
    if (!id || event.pointerType === "touch" || id === this.#pressed) return;
    this.#pressed = null;
    clearTimeout(this.#timer);
    if (this.#shown === id) return;
    // The card is on the side that the mouse comes from, so that it does not cover the seats ahead.
    this.#isRising = this.#height !== null && event.clientY < this.#height - 4;
    this.#height = event.clientY;
    this.#hovered = id;
    this.#timer = setTimeout(() => this.#show(this.#grid.cell(id)), REST_MS);
  }

  // Hide only if neither the card nor a seat is entered within a moment; then a focused seat shows it again.
  #leave() {
    clearTimeout(this.#timer);
    this.#hovered = null;
    this.#timer = setTimeout(() => {
      const focused = document.activeElement;
      if (this.#grid.focused && focused.matches(":focus-visible")) this.#show(focused);
      else this.hide();
    }, REST_MS);
  }

  #show(cell, note = "") {
    clearTimeout(this.#timer);
    const seat = this.#plan.seat(this.#grid.seatOf({ target: cell }));
    if (!seat) return;
    this.#shown = seat.id;
    this.#fill(seat, note);
    show(this.element, true);
    this.#place();
  }

  #fill(seat, note = "") {
    const facts = sentence(this.#plan.describe(seat.id).join(", "));
    const { said, priceCents } = this.#stateOf(seat);
    const price = money(priceCents, this.#plan.currency);
    fill(this.element, { seat: seat.id, price, facts, state: sentence(said), note });
    show(this.element.lastChild, note !== "");
  }

  #place() {
    if (!this.#shown) return;
    const cell = this.#grid.cell(this.#shown).getBoundingClientRect();
    const cabin = this.#cabin.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.element;
    const centre = cell.left + cell.width / 2;
    const least = Math.max(EDGE_PX, cabin.left) + width / 2;
    const most = Math.min(document.documentElement.clientWidth - EDGE_PX, cabin.right) - width / 2;
    const x = Math.max(least, Math.min(most, centre));
    const fitsAbove = cell.top - height - GAP_PX >= this.#topEdge() + EDGE_PX;
    const fitsBelow = cell.bottom + height + GAP_PX <= innerHeight - EDGE_PX;
    const isBelow = fitsBelow && (!fitsAbove || (this.#isRising && this.#hovered === this.#shown));
    this.element.toggleAttribute("data-below", isBelow);
    const y = isBelow ? cell.bottom : cell.top;
    const rules = { "--x": x - cabin.left, "--y": y - cabin.top, "--nudge": centre - x };
    for (const [rule, pixels] of Object.entries(rules)) this.element.style.setProperty(rule, `${pixels}px`);
  }
}
