// Search for free seats that are good together, and for those close to one: rules over a SeatPlan, nothing else.
// Distances and discomforts are measured in rows: 1 is as bad as one row further back.

const AISLE_FROM_NEAR = 3;
const WITHOUT_WINDOW = 1;
const SEAT_LEFT_ALONE = 1.5;
const PERSON_ALONE = 5;
const UNEVEN_ROWS = 1;
const ALONE_BY_POSITION = { window: 0, "window and aisle": 0, aisle: 0.5, middle: 3 };
const ANOTHER_CABIN = 8;
const SIDEWAYS_REACH = 1.5;

/** @returns {import("./seat_plan.js").Seat[]} `count` free seats, or none */
export function bestTogether(plan, count, isFree, near) {
  for (const cabin of cabinsToTry(plan, near)) {
    const search = new Search(cabin.rows, count, isFree, near);
    const found = search.inOneRow() ?? search.inNeighbouringRows() ?? scattered(search.free, count, near);
    if (found) return found;
  }
  return scattered(plan.seats.filter(isFree), count, near) ?? [];
}

/** @returns {import("./seat_plan.js").Seat[]} the closest free seats to one, the closest first */
export function closest(plan, seat, count, isFree) {
  if (!seat) return [];
  const others = plan.seats.filter((other) => other !== seat && isFree(other));
  const far = new Map(others.map((other) => [other, distance(seat, other)]));
  const pricier = (other) => Math.abs(other.priceCents - seat.priceCents);
  others.sort((a, b) => far.get(a) - far.get(b) || pricier(a) - pricier(b) || a.order - b.order);
  const isHome = (other) => other.cabin === seat.cabin;
  return [...others.filter(isHome), ...others.filter((other) => !isHome(other))].slice(0, count);
}

function cabinsToTry(plan, near) {
  const cabins = [...plan.cabins].sort((a, b) => a.prices[0] - b.prices[0] || b.index - a.index);
  if (!near) return cabins;
  const home = near.place.cabin.index;
  return cabins.sort((a, b) => Math.abs(a.index - home) - Math.abs(b.index - home));
}

function distance(one, other) {
  const rows = Math.abs(one.place.index - other.place.index);
  const elsewhere = one.cabin === other.cabin ? 0 : ANOTHER_CABIN;
  return rows * 1.25 + Math.abs(one.x - other.x) + elsewhere;
}

/** Free seats of one row next to each other, `aisles` of them crossed. */
class Run {
  constructor(seats) {
    this.seats = seats;
    this.row = seats[0].place;
    this.aisles = seats.at(-1).block - seats[0].block;
    this.price = sum(seats, (seat) => seat.priceCents);
    this.left = seats[0].x;
    this.right = seats.at(-1).x;
    this.middle = (this.left + this.right) / 2;
    this.hasWindow = seats.some((seat) => seat.position.startsWith("window"));
    const blocks = seats.map((seat) => seat.block);
    /** The number of people without a neighbour on their side of the aisle. */
    this.alone = blocks.filter((block) => blocks.indexOf(block) === blocks.lastIndexOf(block)).length;
  }

  /** Return whether a seat here is behind, before or diagonal to a seat there. */
  touches(other) {
    return Math.max(this.left, other.left) - Math.min(this.right, other.right) <= SIDEWAYS_REACH;
  }
}

class Search {
  constructor(rows, count, isFree, near) {
    this.rows = rows;
    this.count = count;
    this.near = near;
    this.isFree = new Set(rows.flatMap((row) => row.seats.filter(isFree)));
    this.free = [...this.isFree];
  }

  inOneRow() {
    return best(this.rows.flatMap((row) => this.#runs(row, this.count).map((run) => this.#ofOneRow(run))));
  }

  #ofOneRow(run) {
    const discomfort = this.#backwards(run) + this.#discomfort(run);
    const rank = this.near
      ? [this.#fromNear(run.seats) + run.aisles * AISLE_FROM_NEAR, run.price, discomfort]
      : [run.aisles, run.price, discomfort];
    return { seats: () => run.seats, rank };
  }

  #discomfort(run) {
    if (this.count === 1) return ALONE_BY_POSITION[run.seats[0].position];
    const window = run.hasWindow ? 0 : WITHOUT_WINDOW;
    const alone = run.aisles ? run.alone * PERSON_ALONE : 0;
    return window + alone + this.#leftAlone(run) * SEAT_LEFT_ALONE;
  }

  /** The number of free seats beside the run that would be left without a free neighbour. */
  #leftAlone(run) {
    const free = (block, place) => this.isFree.has(run.row.blocks[block]?.[place]);
    const ends = [
      [run.seats[0], -1],
      [run.seats.at(-1), 1],
    ];
    return ends.filter(([seat, step]) => {
      const place = run.row.blocks[seat.block].indexOf(seat) + step;
      return free(seat.block, place) && !free(seat.block, place + step);
    }).length;
  }

  inNeighbouringRows() {
    const runs = this.rows.map((row) => this.#allRuns(row));
    for (let height = 2; height <= this.count; height += 1) {
      const found = new Best();
      for (let top = 0; top + height <= this.rows.length; top += 1) {
        if (this.rows[top + height - 1].number - this.rows[top].number !== height - 1) continue;
        if (!found.isBeatenBy(this.#least(top, height))) continue;
        this.#stack(runs.slice(top, top + height), [], this.count, found);
      }
      if (found.seats) return found.seats;
    }
    return null;
  }

  // No group in these rows ranks lower than this, so most rows of an empty cabin need no search.
  #least(top, height) {
    if (this.near) return [0, 0, 0];
    const prices = this.rows.slice(top, top + height).flatMap((row) => row.seats.map((seat) => seat.priceCents));
    return [Math.min(...prices) * this.count, top];
  }

  // Every way to take seats of each row, `left` in all, about as many of each, each part touching the one before.
  #stack(rows, taken, left, found) {
    const depth = taken.length;
    if (depth === rows.length) {
      found.offer(this.#ofRows(taken));
      return;
    }
    for (const length of this.#lengths(rows.length, rows.length - depth, left)) {
      for (const run of rows[depth].get(length) ?? []) {
        if (depth && !run.touches(taken[depth - 1])) continue;
        taken.push(run);
        this.#stack(rows, taken, left - length, found);
        taken.pop();
      }
    }
  }

  #lengths(height, remaining, left) {
    if (remaining === 1) return [left];
    const even = this.count / height;
    return range(Math.max(1, Math.floor(even) - 1), Math.min(left - remaining + 1, Math.ceil(even) + 1));
  }

  #ofRows(runs) {
    const shift = sum(runs, (run, index) => (index ? Math.abs(run.middle - runs[index - 1].middle) : 0));
    const alone = sum(runs, (run) => (run.seats.length === 1 ? 1 : run.aisles && run.alone)) * PERSON_ALONE;
    const aisles = sum(runs, (run) => run.aisles) * AISLE_FROM_NEAR;
    const window = runs.some((run) => run.hasWindow) ? 0 : WITHOUT_WINDOW;
    const price = sum(runs, (run) => run.price);
    const sizes = runs.map((run) => run.seats.length);
    const uneven = (Math.max(...sizes) - Math.min(...sizes)) * UNEVEN_ROWS;
    const left = sum(runs, (run) => this.#leftAlone(run)) * SEAT_LEFT_ALONE;
    const discomfort = this.#backwards(runs[0]) + shift + alone + aisles + window + uneven + left;
    const seats = () => runs.flatMap((run) => run.seats);
    if (!this.near) return { seats, rank: [price, discomfort] };
    const near = sum(runs, (run) => this.#fromNear(run.seats) * run.seats.length) / this.count;
    return { seats, rank: [near + aisles, price, discomfort] };
  }

  #runs(row, length) {
    const found = [];
    const places = row.blocks.flat();
    for (let start = 0; start + length <= places.length; start += 1) {
      const seats = places.slice(start, start + length);
      if (seats.every((seat) => this.isFree.has(seat))) found.push(new Run(seats));
    }
    return found;
  }

  #allRuns(row) {
    const lengths = range(1, Math.min(this.count - 1, row.seats.length));
    return new Map(lengths.map((length) => [length, this.#runs(row, length)]));
  }

  #backwards(run) {
    return run.row.index - this.rows[0].index;
  }

  #fromNear(seats) {
    return sum(seats, (seat) => distance(seat, this.near)) / seats.length;
  }
}

/** The closest knot of free seats, wherever they are; null if there are not enough. */
function scattered(free, count, near) {
  if (free.length < count) return null;
  return best(
    free.map((seed) => {
      const knot = nearest(free, seed, count);
      const spread = sum(knot, (seat) => distance(seat, seed));
      const away = near ? sum(knot, (seat) => distance(seat, near)) : 0;
      return { seats: () => knot, rank: [spread + away, sum(knot, (seat) => seat.priceCents)] };
    }),
  );
}

// An insertion into a short list, since sorting all seats for each seat would be noticeably slow.
function nearest(free, seed, count) {
  const kept = [];
  for (const seat of free) {
    const far = distance(seat, seed);
    if (kept.length === count && far >= kept.at(-1).far) continue;
    let at = kept.length;
    while (at && kept[at - 1].far > far) at -= 1;
    kept.splice(at, 0, { seat, far });
    if (kept.length > count) kept.pop();
  }
  return kept.map(({ seat }) => seat);
}

/** The candidate with the lowest rank, number by number; of equals the first. */
class Best {
  seats = null;
  #rank = null;

  offer({ seats, rank }) {
    if (!this.isBeatenBy(rank)) return;
    this.#rank = rank;
    this.seats = seats();
  }

  isBeatenBy(rank) {
    return this.#rank === null || isLower(rank, this.#rank);
  }
}

function best(candidates) {
  const found = new Best();
  for (const candidate of candidates) found.offer(candidate);
  return found.seats;
}

function isLower(one, other) {
  const place = one.findIndex((number, index) => number !== other[index]);
  return place >= 0 && one[place] < other[place];
}

function range(first, last) {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
}

function sum(things, number) {
  return things.reduce((total, thing, index) => total + number(thing, index), 0);
}
