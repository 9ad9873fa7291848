// The filters (window, aisle, exit row, price), and the legend of the marks on the seats.

import { el, show } from "./dom.js";
import { WORDS } from "./seat_states.js";
import { count, money, sentence } from "./words.js";

const KINDS = {
  window: (seat) => seat.position.includes("window"),
  aisle: (seat) => seat.position.includes("aisle"),
  exit: (seat) => seat.isExit,
};
const PARAMETERS = { position: "position", price: "priceCents" };
const LABELS = { window: "Window", aisle: "Aisle", exit: "Exit row" };

export class SeatFilters {
  #plan;
  #pressed = new Map([
    ["position", new Set()],
    ["exit", new Set()],
    ["price", new Set()],
  ]);
  #said = el("p", { class: "small muted", "data-part": "matching" });
  #tags = el("div", { class: "tags" });

  /**
   * @param {import("./seat_plan.js").SeatPlan} plan
   * @param {() => void} onChange
   */
  constructor(plan, onChange) {
    this.#plan = plan;
    this.onChange = onChange;
    const clear = el("button", { type: "button", class: "link", onclick: () => this.#clearAll() }, "Show all");
    const result = el("div", { class: "matching", hidden: true }, this.#said, clear);
    const props = { role: "group", "aria-labelledby": "filters", class: "wide" };
    this.element = el("div", props, el("h2", { id: "filters" }, "Show"), this.#tags, result);
    this.drawChoices();
  }

  /** Draw the available filters; a price that no seat has any more is unselected. */
  drawChoices() {
    const choices = this.#choices();
    const prices = this.#pressed.get("price");
    for (const price of prices) if (!choices.some(({ value }) => value === price)) prices.delete(price);
    this.#tags.replaceChildren(...choices.map((choice) => this.#tag(choice)));
  }

  get isOn() {
    return [...this.#pressed.values()].some((values) => values.size > 0);
  }

  /** Match one value of each kind that is pressed: a window or an aisle, and one of the prices. */
  matches(seat, kinds = [...this.#pressed.keys()]) {
    return kinds.every((kind) => {
      const values = this.#pressed.get(kind);
      return values.size === 0 || [...values].some((value) => (KINDS[value] ?? priceIs(value))(seat));
    });
  }

  /** The pressed filters of these kinds, as parameters of the API's suggestions. @returns {[string, string][]} */
  parameters(kinds) {
    const pressed = kinds.flatMap((kind) => [...this.#pressed.get(kind)].map((value) => [kind, value]));
    return pressed.map(([kind, value]) => (kind === "exit" ? ["exitRow", "true"] : [PARAMETERS[kind], String(value)]));
  }

  /** Show how many of the free seats match. */
  tell(matching, free) {
    show(this.element.lastChild, this.isOn);
    const text = this.isOn ? `${matching} of ${count(free, "free seat")}` : "";
    if (this.#said.textContent !== text) this.#said.textContent = text;
  }

  #choices() {
    const { seats, cabins } = this.#plan;
    const kinds = Object.keys(KINDS).filter((kind) => seats.some(KINDS[kind]) && !seats.every(KINDS[kind]));
    const prices = [...new Set(cabins.flatMap((cabin) => cabin.prices))].sort((one, other) => one - other);
    const kindOf = (value) => (value === "exit" ? "exit" : "position");
    const choices = kinds.map((value) => ({ kind: kindOf(value), value, text: LABELS[value] }));
    if (prices.length < 2) return choices;
    const priced = prices.map((value) => ({ kind: "price", value, text: money(value, this.#plan.currency) }));
    return [...choices, ...priced];
  }

  #tag({ kind, value, text }) {
    const toggle = ({ currentTarget: tag }) => {
      const isPressed = tag.getAttribute("aria-pressed") !== "true";
      tag.setAttribute("aria-pressed", isPressed);
      if (isPressed) this.#pressed.get(kind).add(value);
      else this.#pressed.get(kind).delete(value);
      this.onChange();
    };
    const isPressed = this.#pressed.get(kind).has(value);
    return el("button", { type: "button", class: "tag", "aria-pressed": String(isPressed), onclick: toggle }, text);
  }

  #clearAll() {
    for (const values of this.#pressed.values()) values.clear();
    for (const tag of this.#tags.children) tag.setAttribute("aria-pressed", "false");
    this.#tags.firstChild.focus();
    this.onChange();
  }
}

function priceIs(cents) {
  return (seat) => seat.priceCents === cents;
}

const LOOKS = {
  "": sentence(WORDS.available),
  picked: "Chosen",
  mine: "Yours",
  held: sentence(WORDS.reserved),
  sold: sentence(WORDS.booked),
  blocked: sentence(WORDS.blocked),
};

export class SeatLegend {
  #items;

  /** @param {import("./seat_plan.js").SeatPlan} plan */
  constructor(plan) {
    const letter = plan.cabins.at(-1).letters[0].at(-1);
    const sample = (props, text) => el("span", { class: "s", "aria-hidden": "true", ...props }, text);
    this.#items = Object.entries(LOOKS).map(([look, words]) => {
      const item = el("li", { "data-look": look }, look ? sample({ "data-st": look }) : sample({}, letter), words);
      return [look, item];
    });
    const tiers = tiersOf(plan).map(({ tier, words }) => el("li", {}, sample({ "data-tier": tier }, letter), words));
    const list = el("ul", { class: "legend" }, ...this.#items.map(([, item]) => item), ...tiers);
    this.element = el("div", { class: "wide" }, el("h2", {}, "Seats"), list);
  }

  /** Show only the looks that occur on the map. */
  draw(looks) {
    for (const [look, item] of this.#items) show(item, looks.has(look));
  }
}

// The meaning of one dash and two dashes under a letter: "$720, rows 20 to 32" and "$790, exit row".
function tiersOf(plan) {
  return plan.cabins.flatMap((cabin) =>
    cabin.prices.slice(1).map((price, index) => {
      const seats = cabin.rows.flatMap((row) => row.seats).filter((seat) => seat.priceCents === price);
      return { tier: Math.min(index + 1, 3), words: `${money(price, plan.currency)}, ${whereabouts(seats)}` };
    }),
  );
}

function whereabouts(seats) {
  if (seats.every((seat) => seat.isExit)) return "exit row";
  const [first, last] = [seats[0].row, seats.at(-1).row];
  return first === last ? `row ${first}` : `rows ${first} to ${last}`;
}
