// Which free seats are good together, and which are close to one: rules over a SeatPlan, nothing else.
// Distances and discomforts are counted in rows: one row further back, or as bad as that.

const AISLE_FROM_NEAR = 3;
const WITHOUT_WINDOW = 1;
const SEAT_LEFT_ALONE = 1.5;
const PERSON_ALONE = 3;
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
    this.middle = (seats[0].x + seats.at(-1).x) / 2;
  }

  /** How many sit without a neighbour on their side of the aisle. */
  get alone() {
    const blocks = this.seats.map((seat) => seat.block);
    return blocks.filter((block) => blocks.indexOf(block) === blocks.lastIndexOf(block)).length;
  }

  hasWindow() {
    return this.seats.some((seat) => seat.position.startsWith("window"));
  }

  /** Whether someone here sits behind, before or diagonally to someone there. */
  touches(other) {
    const gap = Math.max(this.seats[0].x, other.seats[0].x) - Math.min(this.seats.at(-1).x, other.seats.at(-1).x);
    return gap <= SIDEWAYS_REACH;
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
    return { seats: run.seats, rank };
  }

  #discomfort(run) {
    if (this.count === 1) return ALONE_BY_POSITION[run.seats[0].position];
    const window = run.hasWindow() ? 0 : WITHOUT_WINDOW;
    const alone = run.aisles ? run.alone * PERSON_ALONE : 0;
    return window + alone + this.#leftAlone(run) * SEAT_LEFT_ALONE;
  }

  /** How many free seats would be left without a free neighbour beside the run. */
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
      const found = [];
      for (let top = 0; top + height <= this.rows.length; top += 1) {
        if (this.rows[top + height - 1].number - this.rows[top].number !== height - 1) continue;
        this.#stack(runs.slice(top, top + height), [], this.count, found);
      }
      if (found.length) return best(found);
    }
    return null;
  }

  // Every way to take at least one seat of each row, `left` in all, each part touching the one before.
  #stack(rows, taken, left, found) {
    const [row, ...rest] = rows;
    if (!row) {
      found.push(this.#ofRows(taken));
      return;
    }
    const lengths = rest.length ? range(1, left - rest.length) : [left];
    for (const length of lengths) {
      for (const run of row.get(length) ?? []) {
        if (!taken.length || run.touches(taken.at(-1))) this.#stack(rest, [...taken, run], left - length, found);
      }
    }
  }

  #ofRows(runs) {
    const seats = runs.flatMap((run) => run.seats);
    const shift = sum(runs.slice(1), (run, index) => Math.abs(run.middle - runs[index].middle));
    const alone = sum(runs, (run) => (run.seats.length === 1 ? 1 : run.aisles && run.alone)) * PERSON_ALONE;
    const aisles = sum(runs, (run) => run.aisles) * AISLE_FROM_NEAR;
    const window = runs.some((run) => run.hasWindow()) ? 0 : WITHOUT_WINDOW;
    const price = sum(runs, (run) => run.price);
    const discomfort = this.#backwards(runs[0]) + shift + alone + aisles + window;
    return { seats, rank: this.near ? [this.#fromNear(seats) + aisles, price, discomfort] : [price, discomfort] };
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
      return { seats: knot, rank: [spread + away, sum(knot, (seat) => seat.priceCents)] };
    }),
  );
}

// An insertion into a short list, since sorting all seats for each seat would be felt.
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

/** The seats of the candidate with the lowest rank, number by number; of equals the first. */
function best(candidates) {
  let winner = null;
  for (const candidate of candidates) if (!winner || isLower(candidate.rank, winner.rank)) winner = candidate;
  return winner?.seats ?? null;
}

function isLower(one, other) {
  for (let place = 0; place < one.length; place += 1) if (one[place] !== other[place]) return one[place] < other[place];
  return false;
}

function range(first, last) {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
}

function sum(things, number) {
  return things.reduce((total, thing, index) => total + number(thing, index), 0);
}
