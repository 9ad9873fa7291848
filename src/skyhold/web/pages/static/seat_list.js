// The seats as a list to choose from: a listbox by cabin and row, one tab stop. Loaded and built on demand.

import { el, show } from "./dom.js";
import { nameOf } from "./seat_states.js";
import { money, sentence } from "./words.js";
import { TypeAhead } from "./type_ahead.js";

const PAGE_OPTIONS = 8;

export class SeatList {
  #plan;
  #ask;
  #options = new Map();
  #box;
  #none = el("p", { class: "small muted", hidden: true }, "No free seat matches.");
  #note = el("p", { class: "small", hidden: true });
  #stop = null;

  /**
   * @param {import("./seat_plan.js").SeatPlan} plan
   * @param {{stateOf: (seat: object) => object, matches: (seat: object) => boolean, onPress: (id: string) => void}} ask
   */
  constructor(plan, ask) {
    this.#plan = plan;
    this.#ask = ask;
    const groups = plan.cabins.map((cabin) => this.#group(cabin));
    const props = { class: "rows", role: "listbox", "aria-label": "Free seats", "aria-multiselectable": "true" };
    this.#box = el("div", props, ...groups);
    this.element = el("div", {}, this.#box, this.#none, this.#note);
    this.drawAll();
    this.#listen();
  }

  /** Draw one seat again. */
  draw(seat) {
    const option = this.#options.get(seat.id);
    const state = this.#ask.stateOf(seat);
    const { look, isSelected, isSelectable, isPressable } = state;
    const isOffered = isSelected || (isSelectable && (look !== null || this.#ask.matches(seat)));
    option.setAttribute("aria-label", nameOf(this.#plan, seat, state));
    option.lastChild.textContent = money(state.priceCents, this.#plan.currency);
    option.setAttribute("aria-selected", String(isSelected));
    option.toggleAttribute("data-gone", !isOffered);
    if (isPressable) option.removeAttribute("aria-disabled");
    else option.setAttribute("aria-disabled", "true");
    // The option that has the focus stays until the focus leaves it, so that the focus is not lost.
    show(option, isOffered || option === document.activeElement);
    if (option === this.#stop && option.hidden) this.#moveStop(this.#shown()[0] ?? null);
    else if (!this.#stop && !option.hidden) this.#moveStop(option);
  }

  /** Show why a seat was refused, until another is pressed. */
  note(text) {
    this.#note.textContent = text;
    show(this.#note, text !== "");
  }

  /** Draw every seat again and hide cabins without any; for filters. */
  drawAll() {
    for (const seat of this.#plan.seats) this.draw(seat);
    this.tidy();
  }

  /** Hide the headings without options, and show a note when no option is left. */
  tidy() {
    let isEmpty = true;
    for (const group of this.#box.querySelectorAll("[role=group]")) {
      const hasSome = group.querySelector("[role=option]:not([hidden])") !== null;
      show(group, hasSome);
      isEmpty &&= !hasSome;
    }
    show(this.#none, isEmpty);
  }

  #listen() {
    const typed = new TypeAhead((text) => this.#go(this.#shown().find((option) => idOf(option).startsWith(text))));
    this.#box.addEventListener("click", ({ target }) => {
      const option = target.closest("[role=option]");
      if (!option) return;
      this.#moveStop(option);
      this.#press(option);
    });
    this.#box.addEventListener("keydown", (event) => this.#key(event) || typed.key(event));
    this.#box.addEventListener("focusin", ({ target }) => target.matches("[role=option]") && this.#moveStop(target));
    this.#box.addEventListener("focusout", ({ target }) => {
      if (!target.hasAttribute("data-gone")) return;
      target.hidden = true;
      this.tidy();
    });
  }

  #press(option) {
    this.note("");
    this.#ask.onPress(idOf(option));
  }

  #group(cabin) {
    const id = `list-${cabin.index + 1}`;
    const head = el("p", { role: "presentation", id }, sentence(cabin.name));
    const options = cabin.rows.flatMap((row) => row.seats.map((seat) => this.#option(seat)));
    return el("div", { role: "group", "aria-labelledby": id }, head, ...options);
  }

  #option(seat) {
    const [, , ...more] = this.#plan.describe(seat.id);
    const facts = [seat.position, ...more].join(", ");
    const words = [el("b", {}, seat.id), el("span", {}, facts), el("span", {})];
    const props = { role: "option", "data-id": seat.id, "data-row": seat.row % 2 ? "odd" : "even", tabindex: -1 };
    const option = el("div", props, ...words);
    this.#options.set(seat.id, option);
    return option;
  }

  #shown() {
    return [...this.#options.values()].filter((option) => !option.hidden);
  }

  #moveStop(option) {
    if (this.#stop === option) return;
    if (this.#stop) this.#stop.tabIndex = -1;
    if (option) option.tabIndex = 0;
    this.#stop = option;
  }

  #go(option) {
    if (!option) return;
    option.focus({ preventScroll: true });
    option.scrollIntoView({ block: "nearest", behavior: "instant" });
  }

  #key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || !event.target.matches("[role=option]")) return false;
    const shown = this.#shown();
    const at = shown.indexOf(event.target);
    const steps = { ArrowUp: -1, ArrowDown: 1, PageUp: -PAGE_OPTIONS, PageDown: PAGE_OPTIONS };
    const jumps = { Home: 0, End: shown.length - 1 };
    if (event.key === " " || event.key === "Enter") this.#press(event.target);
    else if (event.key in steps) this.#go(shown[Math.max(0, Math.min(shown.length - 1, at + steps[event.key]))]);
    else if (event.key in jumps) this.#go(shown[jumps[event.key]]);
    else return false;
    event.preventDefault();
    return true;
  }
}

function idOf(option) {
  return option.dataset.id;
}
