// The page of one flight: the cabin to choose from, kept live, and the hold beside it.

import { Refused, Unanswered, read } from "./api.js";
import { showHolds } from "./chip.js";
import { fill, say, show } from "./dom.js";
import { Hold } from "./hold.js";
import { HoldPanel } from "./hold_panel.js";
import { LiveStream } from "./live_stream.js";
import { presence } from "./presence.js";
import { SeatPicker } from "./seat_picker.js";
import { count } from "./words.js";

const TRY_AGAIN_MS = 3_000;
const LOOK_AGAIN_MS = 2_000;
/** For so long after a seat was the customer's, its changes are not shown as those of others. */
const LATELY_MS = 5_000;

const main = document.getElementById("main");
const { flight: flightId, maxSeats, holdSeconds } = main.dataset;
const live = document.getElementById("live");
const wanted = new URL(location.href).searchParams;
/** One for all tries of `start`: each instance follows an order and listens to other windows. */
const hold = new Hold(flightId);

document.documentElement.dataset.ready = "";
showHolds(document.querySelector("nav"), { exceptFlight: flightId });
start();

async function start() {
  try {
    const [{ body: flight }] = await Promise.all([read(`/api/flights/${flightId}`), hold.load(wanted.get("order"))]);
    show(document.getElementById("trouble"), false);
    const isUnsure = hold.order === null && hold.mayHaveAsked;
    open(flight, hold);
    if (isUnsure) setTimeout(() => hold.catchUp(), LOOK_AGAIN_MS);
  } catch (error) {
    if (!(error instanceof Refused || error instanceof Unanswered)) throw error;
    show(document.getElementById("trouble"), true);
    setTimeout(start, Math.max(TRY_AGAIN_MS, error.retryAfterMs ?? 0));
  }
}

function open(flight, hold) {
  document.getElementById("cabin").replaceChildren();
  const picker = new SeatPicker({
    cabin: document.getElementById("cabin"),
    tools: document.getElementById("tools"),
    flight,
    maxSeats: Number(maxSeats),
    suggest: (number, filters) => suggest(number, filters, hold),
  });
  const canHold = !("departed" in main.dataset);
  hold.showPrices((seat) => picker.plan.seat(seat)?.priceCents ?? 0);
  joinPicker(picker, hold, canHold);
  const panel = new HoldPanel(document.getElementById("hold"), {
    hold,
    plan: picker.plan,
    currency: flight.currency,
    holdMilliseconds: 1000 * Number(holdSeconds),
    canHold,
    onShowSeat: (seat) => picker.focusSeat(seat),
  });
  listen(picker, hold, panel);
}

/** Ask the server for sets of free seats; those of the customer's own hold count as free. */
async function suggest(number, filters, { order }) {
  const asked = new URLSearchParams([["count", number], ...filters, ...(order ? [["order", order.orderId]] : [])]);
  const { body } = await read(`/api/flights/${flightId}/suggestions?${asked}`);
  return body.suggestions.map(({ seats }) => seats);
}

/** Seats chosen on the map become wanted; wanted and held seats are shown on the map. */
function joinPicker(picker, hold, canHold) {
  let shown = null;
  const draw = () => {
    picker.enabled = canHold && !hold.isPaying;
    const { wanted, held, prices, own } = hold;
    picker.show({ wanted, held, prices, busy: hold.asking !== "", own });
    if (hold.clash !== shown) showClash(picker, hold);
    shown = hold.clash;
  };
  picker.addEventListener("want", (event) => hold.want(event.detail.seats));
  picker.addEventListener("lost", (event) => tellLost(hold, event.detail.seats));
  hold.addEventListener("change", draw);
  presence.addEventListener("wake", () => hold.catchUp());
  draw();
}

/** Announce seats that another customer took, unless it was the customer in another window. */
async function tellLost(hold, seats) {
  hold.lose(seats);
  await hold.catchUp();
  const lost = seats.filter((seat) => !hold.held.has(seat) && !hold.own.has(seat));
  if (lost.length === 0) return;
  say(`${count(lost.length, "chosen seat")} went to someone else: ${lost.join(", ")}.`, { atOnce: true });
}

function showClash(picker, { clash, held, wanted }) {
  if (!clash) return picker.clearConflict();
  const taken = clash.seats.map(({ seat, status }) => ({ id: seat, status }));
  const near = clash.alternatives.flat().filter((seat) => !held.has(seat) && !wanted.has(seat));
  return picker.showConflict({ taken, near });
}

function listen(picker, hold, panel) {
  const lately = new Map();
  hold.addEventListener("change", () => {
    for (const seat of [...hold.held, ...hold.wanted, ...hold.own.keys()]) lately.set(seat, performance.now());
  });
  const isOthers = (id) => !(performance.now() - lately.get(id) < LATELY_MS) && !hold.held.has(id) && !hold.own.has(id);
  const apply = (seats, isNews) => {
    const before = new Map(seats.map(({ id }) => [id, picker.plan.seat(id)?.status]));
    picker.apply(seats);
    hold.comeBack(seats.filter(({ id }) => picker.plan.seat(id)?.status === "available").map(({ id }) => id));
    if (seats.some(({ id, priceCents }) => priceCents !== undefined && hold.wanted.has(id))) panel.draw();
    if (!isNews) return;
    tellOfOthers(seats.filter(({ id, status }) => before.get(id) !== status && isOthers(id)));
  };
  new LiveStream(
    `/api/flights/${flightId}/events`,
    { snapshot: ({ seats }) => apply(seats, false), seats: ({ seats }) => apply(seats, true) },
    { onState: tellLive },
  );
}

/** The line with other customers' actions is loaded at the first of them. */
let ticker = null;

async function tellOfOthers(seats) {
  if (seats.length === 0) return;
  ticker ??= import("./ticker.js").then(({ Ticker }) => new Ticker(document.getElementById("ticker")));
  (await ticker.catch(() => null))?.tell(seats);
}

function tellLive(isLive) {
  live.toggleAttribute("data-off", !isLive);
  fill(live, { state: isLive ? "Live" : "Reconnecting" });
}
