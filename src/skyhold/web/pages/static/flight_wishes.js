// The filters of the list: the form and the address of the page, which are always equal.

import { at } from "./api.js";
import { atPlace } from "./words.js";

const FIELDS = ["origin", "destination", "date"];

/** Dispatches "change" when the filters have changed. */
export class FlightWishes extends EventTarget {
  #form;
  #told = "";

  /** @param {HTMLFormElement} form */
  constructor(form) {
    super();
    this.#form = form;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", (event) => this.#follow(event.target.name));
    addEventListener("popstate", () => this.#takeAddress());
    this.#told = this.query().toString();
  }

  /** The query for the API: the fields that are filled in, and the cursor where the list begins. */
  query() {
    const asked = new URL(location.href).searchParams;
    return new URLSearchParams([...FIELDS, "cursor"].flatMap((name) => (asked.get(name) ? [[name, asked.get(name)]] : [])));
  }

  /** Names of cities by code, as in the choices. */
  get cities() {
    return new Map([...this.#form.querySelectorAll("[data-city]")].map(({ value, dataset }) => [value, dataset.city]));
  }

  /** Clear all filters. */
  clear() {
    this.#write(new URLSearchParams());
    this.#follow("");
  }

  /** "No flights from New York to Chicago on Tue 24 Nov." */
  noneTitle() {
    const { origin, destination, date } = Object.fromEntries(this.query());
    const city = (code) => this.cities.get(code.toUpperCase()) ?? code.toUpperCase();
    const words = [
      origin && ` from ${city(origin)}`,
      destination && ` to ${city(destination)}`,
      date && ` on ${atPlace(`${date}T12:00:00Z`, "UTC").day}`,
    ].filter(Boolean);
    return words.length ? `No flights${words.join("")}.` : "No flights are offered at the moment.";
  }

  #follow(field) {
    const said = new URLSearchParams([...new FormData(this.#form)].filter(([, value]) => value));
    const address = at(said.size ? `/?${said}` : "/");
    // A date is typed in parts, each of which is a change: together they are one step back.
    if (field === "date" && history.state?.field === "date") history.replaceState({ field }, "", address);
    else history.pushState({ field }, "", address);
    this.#tell();
  }

  #takeAddress() {
    this.#write(new URL(location.href).searchParams);
    this.#tell();
  }

  /** Following a link within the page changes its address too, but not the filters. */
  #tell() {
    const wanted = this.query().toString();
    if (wanted === this.#told) return;
    this.#told = wanted;
    this.dispatchEvent(new Event("change"));
  }

  #write(asked) {
    for (const name of FIELDS) this.#form.elements[name].value = asked.get(name)?.toUpperCase() ?? "";
  }
}
