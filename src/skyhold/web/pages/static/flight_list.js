// The flights that match a query to the API, read page by page, with the tag of each page.

import { read } from "./api.js";

export class FlightList {
  #query;
  #wanted = 1;
  /** @type {{path: string, etag: string | null, flights: object[], next: string | null}[]} */
  #pages = [];

  /** @param {URLSearchParams} query the filters, and perhaps a cursor to begin at */
  constructor(query) {
    this.#query = query;
  }

  /** All flights that have been read, by departure. */
  get flights() {
    return this.#pages.flatMap((page) => page.flights);
  }

  get hasMore() {
    return Boolean(this.#pages.at(-1)?.next);
  }

  /** Read one more page from the next refresh on. */
  wantMore() {
    this.#wanted = this.#pages.length + 1;
  }

  /**
   * Read the changes, page by page: a page begins where the one before ends, and that moves when flights depart.
   *
   * @throws {import("./api.js").Refused | import("./api.js").Unanswered}
   */
  async refresh() {
    const pages = [];
    let path = this.#pathTo(null);
    while (path && pages.length < this.#wanted) {
      const page = await this.#readPage(path, this.#pages[pages.length]);
      pages.push(page);
      path = page.next && this.#pathTo(page.next);
    }
    this.#pages = pages;
  }

  async #readPage(path, known) {
    const isKnown = known?.path === path;
    const { body, etag } = await read(path, { etag: isKnown ? known.etag : null });
    return body ? { path, etag, flights: body.flights, next: body.nextCursor } : known;
  }

  #pathTo(cursor) {
    const query = new URLSearchParams(this.#query);
    if (cursor) query.set("cursor", cursor);
    return `/api/flights?${query}`;
  }
}
