// The tools beside the cabin, on a narrow screen in a drawer under one slim bar: the list, the cabins to jump to, best
// seats together, go to seat, filters, legend. They report actions; the picker carries them out.

import { el, fill, icon, show } from "./dom.js";
import { SeatFilters, SeatLegend } from "./seat_filters.js";
import { money, sentence } from "./words.js";

export class SeatTools {
  #plan;
  #root;
  #bar;
  #drawer;
  #size;
  #isSizeChosen = false;

  /**
   * @param {Element} root
   * @param {import("./seat_plan.js").SeatPlan} plan
   * @param {object} ask
   * @param {number} ask.maxSeats
   * @param {(seat: object) => object} ask.stateOf
   * @param {(id: string) => void} ask.onListPress
   * @param {(size: number) => Promise<string>} ask.onBest find and select; resolves to a description of the found seats
   * @param {(text: string) => {text: string, isError: boolean}} ask.onGo
   * @param {(cabin: object) => void} ask.onJump
   * @param {() => void} ask.onFilter
   */
  constructor(root, plan, ask) {
    this.#plan = plan;
    this.#root = root;
    this.filters = new SeatFilters(plan, ask.onFilter);
    this.legend = new SeatLegend(plan);
    /** @type {import("./seat_list.js").SeatList | null} null until it is opened */
    this.list = null;
    const jump = plan.cabins.length > 1 ? this.#jump(ask.onJump) : null;
    const seen = [this.filters.element, this.legend.element];
    const parts = [this.#listDoor(ask), jump, this.#best(ask), this.#go(ask.onGo), ...seen].filter(Boolean);
    const leave = { type: "button", class: "btn done wide", onclick: () => this.close() };
    const done = el("button", leave, "Show the seats");
    this.#drawer = el("div", { class: "drawer", id: "seat-tools" }, ...parts, done);
    this.#bar = this.#barButton();
    root.replaceChildren(this.#bar, this.#drawer);
    this.#listenToLeaving();
  }

  /** The lower edge of the sticky bar, from the top of the window: it covers everything above. 0 without a bar. */
  get coveredTop() {
    const bar = this.#bar.getBoundingClientRect();
    return this.isNarrow ? Math.max(0, bar.bottom) : 0;
  }

  /** True if the tools are in a drawer, over the cabin. */
  get isNarrow() {
    return this.#bar.offsetParent !== null;
  }

  /** Close the drawer, if there is one. */
  close() {
    this.#setOpen(false);
  }

  /** Preselect the size of the customer's party, taken from their seats. */
  suggestSize(size) {
    if (!this.#isSizeChosen && size > 0 && size <= this.#size.length) this.#size.value = size;
  }

  /** Hide the result of the last search: other seats are chosen now. */
  forgetFound() {
    show(this.#root.querySelector("#best-said"), false);
  }

  /** Show how many seats are free, in all and by cabin, and how many of them match. */
  tell(free, matching) {
    const words = this.filters.isOn ? `${matching.length} of ${free.length} free` : `${free.length} free`;
    fill(this.#bar, { free: words });
    this.filters.tell(matching.length, free.length);
    for (const cabin of this.#plan.cabins) {
      const number = free.filter((seat) => seat.cabin === cabin.name).length;
      fill(this.#root, { [`free-${cabin.index}`]: `${number} free` });
    }
  }

  /** Draw all prices again. */
  drawPrices() {
    const legend = new SeatLegend(this.#plan);
    this.legend.element.replaceWith(legend.element);
    this.legend = legend;
    this.filters.drawChoices();
    for (const cabin of this.#plan.cabins) fill(this.#root, { [`price-${cabin.index}`]: this.#priceOf(cabin) });
    this.list?.drawAll();
  }

  #priceOf(cabin) {
    const price = money(cabin.prices[0], this.#plan.currency);
    return cabin.prices.length > 1 ? `from ${price}` : price;
  }

  #barButton() {
    const words = [el("b", {}, "Find a seat"), el("span", { class: "muted", "data-part": "free" })];
    const props = { type: "button", class: "finder", "aria-expanded": "false", "aria-controls": "seat-tools" };
    const toggle = () => this.#setOpen(this.#bar.getAttribute("aria-expanded") !== "true");
    return el("button", { ...props, onclick: toggle }, ...words);
  }

  #setOpen(isOpen) {
    const isInside = this.#drawer.contains(document.activeElement);
    if (!isOpen && this.isNarrow && isInside) this.#bar.focus({ preventScroll: true });
    // A bar that does not stick yet is scrolled to the top of the window, where the drawer has the most room.
    const below = this.#root.parentElement.getBoundingClientRect().top;
    if (isOpen && below > 0) scrollBy({ top: below, behavior: "instant" });
    this.#bar.setAttribute("aria-expanded", isOpen);
    this.#drawer.toggleAttribute("data-open", isOpen);
  }

  // A drawer over the cabin closes on Escape, on a press beside it, and when the focus leaves it.
  #listenToLeaving() {
    this.#root.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
    this.#root.addEventListener("focusout", ({ relatedTarget }) => {
      if (relatedTarget && !this.#root.contains(relatedTarget)) this.close();
    });
    document.addEventListener("pointerdown", ({ target }) => !this.#root.contains(target) && this.close());
  }

  // The list is loaded when its summary is hovered or focused, and built when it is opened.
  #listDoor({ stateOf, onListPress }) {
    const summary = el("summary", {}, icon("list"), "Choose from a list");
    const door = el("details", { class: "pick" }, summary);
    const fetched = () => import("./seat_list.js").catch(() => ({}));
    const open = async () => {
      const { SeatList } = await fetched();
      if (this.list || !SeatList) return;
      const matches = (seat) => this.filters.matches(seat);
      this.list = new SeatList(this.#plan, { stateOf, matches, onPress: onListPress });
      door.append(this.list.element);
    };
    for (const type of ["pointerenter", "focus"]) summary.addEventListener(type, fetched, { once: true });
    // The browser may open it too, when it searches the page for a word.
    for (const [target, type] of [[summary, "click"], [door, "toggle"]]) target.addEventListener(type, open);
    return door;
  }

  #jump(onJump) {
    const items = this.#plan.cabins.map((cabin) => {
      const words = [
        el("b", {}, sentence(cabin.name)),
        el("span", { "data-part": `price-${cabin.index}` }, this.#priceOf(cabin)),
        el("span", { class: "muted" }, `rows ${cabin.firstRow} to ${cabin.lastRow}`),
        el("span", { class: "muted", "data-part": `free-${cabin.index}` }),
      ];
      const go = (event) => {
        event.preventDefault();
        onJump(cabin);
      };
      return el("li", {}, el("a", { href: `#cabin-${cabin.index + 1}`, onclick: go }, ...words));
    });
    return el("nav", { class: "wide", "aria-label": "Cabins" }, el("ul", { class: "jump" }, ...items));
  }

  #best({ maxSeats, onBest }) {
    const options = Array.from({ length: maxSeats }, (_, index) => el("option", {}, index + 1));
    const choose = () => (this.#isSizeChosen = true);
    this.#size = el("select", { class: "field", id: "best-size", onchange: choose }, ...options);
    this.#size.value = Math.min(2, maxSeats);
    return this.#form("best", { field: this.#size, label: "Best seats together", button: "Find" }, () => {
      this.#isSizeChosen = true;
      return onBest(Number(this.#size.value)).then((text) => ({ text, isError: false }));
    });
  }

  #go(onGo) {
    const seats = this.#plan.seats;
    const example = seats[Math.floor(seats.length / 2)].id;
    const typing = { maxlength: 5, autocomplete: "off", autocapitalize: "characters", spellcheck: "false" };
    const props = { class: "field", id: "go-to", placeholder: example, enterkeyhint: "go", ...typing };
    const field = el("input", props);
    return this.#form("go", { field, label: "Go to seat", button: "Go" }, () => onGo(field.value));
  }

  // One line: a label, a field, a button, and the result below them.
  #form(name, { field, label, button }, onSubmit) {
    const said = el("p", { class: "small", id: `${name}-said`, hidden: true });
    const submit = el("button", { class: "btn line slim", type: "submit" }, button);
    field.setAttribute("aria-describedby", said.id);
    field.addEventListener("input", () => show(said, false));
    const tell = async (event) => {
      event.preventDefault();
      const { text, isError } = await onSubmit();
      said.textContent = text;
      show(said, text !== "");
      if (isError) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
    };
    const title = el("h2", {}, el("label", { for: field.id }, label));
    const props = { "data-tool": name, novalidate: true, onsubmit: tell };
    return el("form", props, title, el("div", { class: "line-form" }, field, submit), said);
  }
}
