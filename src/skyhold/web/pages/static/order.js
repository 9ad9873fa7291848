// The page of one order: follows it, pays for it, releases it, and shows its outcome.

import { Refused, Unanswered, at, command, read } from "./api.js";
import { confirmedView } from "./boarding_pass.js";
import { Countdown, drawDial } from "./countdown.js";
import { part, say, show } from "./dom.js";
import { LiveStream } from "./live_stream.js";
import { drawEnded, endedView, showClash, showQuote } from "./order_ends.js";
import { drawHeld, drawPaying, heldView, payingView, showFault } from "./order_views.js";
import { presence } from "./presence.js";
import { SeatPlan } from "./seat_plan.js";
import { serverClock } from "./server_clock.js";
import { sentence } from "./words.js";

const TRY_AGAIN_MS = 3_000;
const CHECK_AGAIN_MS = 2_000;
const TERMINAL = new Set(["CONFIRMED", "FAILED", "EXPIRED"]);
const CHANGED_ELSEWHERE = "The seats were changed in another window, so the time starts again.";

const NOT_PAID = "No answer came, so we stopped. Nothing was charged so far; please try again.";
const MAYBE_HELD = "No answer came. The seats may be held all the same: look at the flight before you try again.";
const UNKNOWN = "No answer came, and we cannot see whether your code arrived. This page tells you as soon as it can.";

const main = document.getElementById("main");
const [place, trouble] = [document.getElementById("view"), document.getElementById("trouble")];
const { order: orderId, flight: flightId, originCity, destinationCity } = main.dataset;
const path = `/api/orders/${orderId}`;

/** @type {import("./order_views.js").Known} */
const known = { order: null, flight: null, plan: null, cities: { origin: originCity, destination: destinationCity } };
const state = { kind: "", view: null, asking: "", why: "", isCutOff: false, isDeaf: false, isWaiting: false, left: null };

/** The event that came before the order was loaded. */
let unheard = null;
let looks = 0;
let asksAgain = 0;

const countdown = new Countdown({
  onDraw: drawClock,
  onSay: (text) => say(text),
  onEnd: check,
});
const stream = new LiveStream(`${path}/events`, { order: hear }, { onState: hearState });

document.documentElement.dataset.ready = "";
presence.addEventListener("wake", () => known.order && catchUp());
load();

async function load() {
  try {
    const [order] = await Promise.all([read(path), lookAtFlight()]);
    tellTrouble({ isCutOff: false });
    await learn(order.body);
    if (unheard) hear(unheard);
  } catch (error) {
    expectAbsence(error);
    setTimeout(load, pauseAfter(error));
  }
}

async function lookAtFlight() {
  if (!flightId) return;
  const { body } = await read(`/api/flights/${flightId}`);
  known.flight = body;
  known.plan = new SeatPlan(body);
}

/** Read the whole order, and show it. */
async function look() {
  const { body } = await read(path);
  tellTrouble({ isCutOff: false });
  await learn(body);
}

/** Read until the server has answered, or until a newer call replaces this one. */
async function catchUp() {
  looks += 1;
  const mine = looks;
  while (mine === looks) {
    try {
      await look();
      return;
    } catch (error) {
      expectAbsence(error);
      await new Promise((resolve) => setTimeout(resolve, pauseAfter(error)));
    }
  }
}

/** The time to wait before a retry: longer, if the server requires it. */
function pauseAfter(error) {
  return Math.max(TRY_AGAIN_MS, error.retryAfterMs ?? 0);
}

/** Show that the server is unavailable, if that is the error; an order that is gone has its own page. */
function expectAbsence(error) {
  if (error.status === 404) location.reload();
  if (!(error instanceof Refused || error instanceof Unanswered)) throw error;
  tellTrouble({ isCutOff: true });
}

/** Without events the page polls: a proxy may hold the stream back and let other requests through. */
function hearState(isLive) {
  tellTrouble({ isCutOff: !isLive });
  state.isDeaf = !isLive;
  if (!isLive) askAgain();
}

async function askAgain() {
  clearTimeout(asksAgain);
  if (!state.isDeaf || TERMINAL.has(known.order?.status)) return;
  if (known.order && !presence.isAway) await catchUp();
  clearTimeout(asksAgain);
  asksAgain = setTimeout(askAgain, TRY_AGAIN_MS);
}

/** Apply an event, which contains the status; read the order for the rest (version, price, outcome). */
function hear(told) {
  const { order } = known;
  unheard = order ? null : told;
  if (!order) return;
  const areSeatsSame = told.seats.join() === order.seats.join();
  const isMoved = told.expiresAt !== order.expiresAt;
  const isOpen = !TERMINAL.has(told.status);
  if (!isOpen) stream.end();
  if (isOpen && areSeatsSame && !isMoved) {
    learn({ ...order, ...told });
    return;
  }
  if (isOpen && !state.asking && told.status === order.status) state.why = CHANGED_ELSEWHERE;
  catchUp();
}

/** Apply the server's state of the order; ignore a reply that is older than an event. */
async function learn(order) {
  if (known.order && order.serverTime < known.order.serverTime) return;
  const before = known.order?.status;
  known.order = order;
  if (order.status !== "SEATS_RESERVED") state.asking = state.asking === "again" ? "again" : "";
  else if (state.asking === "check" && Date.parse(order.expiresAt) > serverClock.now()) state.asking = "";
  if (order.status.startsWith("PAYMENT_")) await rememberClock(before);
  if (TERMINAL.has(order.status)) {
    stream.end();
    tellTrouble({ isCutOff: false });
    await lookAtFlight().catch(() => {});
  }
  draw();
}

/** Find the time at which the clock stopped: seen by this page, or read from the order's history. */
async function rememberClock(before) {
  if (state.left) return;
  if (before === "SEATS_RESERVED" && countdown.milliseconds) {
    state.left = { milliseconds: countdown.milliseconds, share: countdown.share };
    return;
  }
  const { body } = await read(`${path}/history`).catch(() => ({ body: { events: [] } }));
  const paid = body.events.find((event) => event.status === "PAYMENT_PENDING");
  const held = body.events.findLast((event) => event.status === "SEATS_RESERVED");
  if (!paid || !held) return;
  const end = Date.parse(held.expiresAt);
  const milliseconds = Math.max(0, end - Date.parse(paid.at));
  state.left = { milliseconds, share: milliseconds / Math.max(1, end - Date.parse(held.at)) };
}

function draw() {
  const { order } = known;
  const kind = kindOf(order);
  if (kind !== state.kind) replaceView(kind);
  else if (kind === "held") drawHeld(state.view, known, state);
  else if (kind === "paying") drawPaying(state.view, known, state.left);
  else if (kind === "ended") drawEnded(state.view, known, state);
  if (kind === "held") countdown.runTo(order.expiresAt, order.updatedAt);
  else countdown.stop();
  if (kind !== "held") document.title = `${titleOf(kind)} · Skyhold`;
}

function kindOf({ status }) {
  if (status === "CREATED") return "created";
  if (status === "SEATS_RESERVED") return "held";
  if (status === "CONFIRMED") return "confirmed";
  return TERMINAL.has(status) ? "ended" : "paying";
}

const MAKERS = {
  held: () => heldView(known, { onPay: pay, onRelease: release }),
  paying: () => payingView(known, state.left),
  confirmed: () => confirmedView(known),
  ended: () => endedView(known, { onAgain: () => holdAgain(known.order.seats, known.order.totalPriceCents) }),
};

/** Show another kind of view; focus in the one before moves to the new headline. */
function replaceView(kind) {
  const isFirst = state.kind === "";
  state.kind = kind;
  if (kind === "created") return;
  const hadFocus = place.contains(document.activeElement);
  state.view = MAKERS[kind]();
  place.replaceChildren(state.view);
  if (isFirst) return;
  const headline = part(state.view, "headline");
  if (hadFocus) headline.focus({ preventScroll: true });
  scrollTo({ top: 0 });
  // A headline that gets the focus is read out anyway.
  const unread = [hadFocus ? null : headline, part(state.view, "money-first")].filter(Boolean);
  if (unread.length) say(unread.map((found) => found.textContent).join(" "));
}

function titleOf(kind) {
  const number = known.flight?.flightNumber ?? "Skyhold";
  if (kind === "held") return `Your hold on ${number}`;
  if (kind === "paying") return `Paying · ${number}`;
  return kind === "created" ? "Your order" : part(state.view, "headline").textContent.replace(/\.$/, "");
}

function drawClock(left) {
  if (state.kind !== "held") return;
  drawDial(part(state.view, "dial"), left);
  document.title = `${left.digits} · ${titleOf("held")} · Skyhold`;
}

/** The time is up by this page's clock; the server decides the outcome of the order. */
function check() {
  if (known.order?.status !== "SEATS_RESERVED" || countdown.milliseconds > 0) return;
  if (!state.asking) state.asking = "check";
  draw();
  catchUp();
  setTimeout(check, CHECK_AGAIN_MS);
}

async function pay(code) {
  if (state.asking) return;
  const { version } = known.order;
  await ask("pay", async () => {
    await command("POST", `${path}/pay`, { body: { paymentCode: code }, version, onWaiting });
    const { status } = known.order;
    if (status !== "SEATS_RESERVED") return;
    await rememberClock(status);
    // The outcome may have come meanwhile.
    if (known.order.status !== status) return;
    known.order = { ...known.order, status: "PAYMENT_PENDING" };
  });
}

async function release() {
  if (state.asking) return;
  await ask("release", async () => {
    await command("DELETE", path, { onWaiting });
    await look();
  });
}

/** Hold the same seats, or some instead, by a new order, at the total that was shown. */
async function holdAgain(seats, expectedTotalCents) {
  if (state.asking) return;
  await ask("again", async () => {
    const body = { flightId: known.flight.id, seats, expectedTotalCents };
    const order = await command("POST", "/api/orders", { body, onWaiting });
    location.assign(at(`/orders/${order.orderId}`));
  }, { seats, expectedTotalCents });
}

/** Send one command; a refusal is shown in the part of the page that sent it. */
async function ask(what, act, sent = null) {
  Object.assign(state, { asking: what, why: "" });
  draw();
  try {
    await act();
  } catch (error) {
    await refused(what, error, sent);
  }
  state.asking = "";
  onWaiting(false);
  draw();
}

async function refused(what, error, sent) {
  if (what === "again") {
    const { currency } = known.order;
    if (error.code === "PRICE_CHANGED") showQuote(state.view, { ...sent, problem: error.problem, currency }, holdAgain);
    else showClash(state.view, error.problem ?? { detail: MAYBE_HELD }, { currency, onChoose: holdAgain });
    // Not awaited: the seats offered can be chosen at once.
    lookAtFlight().then(draw, () => {});
    return;
  }
  if (error.code === "INVALID_PAYMENT_CODE") return showFault(state.view, sentence(error.message));
  const isKnown = await look().then(() => true, () => false);
  if (state.kind !== "held") return;
  if (error.code === "ORDER_CHANGED") {
    state.why = CHANGED_ELSEWHERE;
    showFault(state.view, "Look at the seats again, then pay.");
  } else if (what === "pay") {
    showFault(state.view, error instanceof Refused ? error.message : isKnown ? NOT_PAID : UNKNOWN);
  } else {
    state.why = error.message;
    say(error.message, { atOnce: true });
  }
}

function onWaiting(isWaiting) {
  tellTrouble({ isWaiting });
}

/** Show that the server is unavailable, and hide it when it is back. */
function tellTrouble(news) {
  Object.assign(state, news);
  const text = state.isWaiting
    ? "No answer yet. We keep trying; you are charged once at most, however often we ask."
    : state.isCutOff
      ? "The connection is lost. Your order stands as it is; this page catches up by itself."
      : "";
  if (trouble.textContent === text) return;
  trouble.textContent = text;
  show(trouble, text !== "");
  if (text) say(text);
}
