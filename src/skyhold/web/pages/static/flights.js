// The list of flights: filtered without leaving the page, and its numbers kept fresh while the page is visible.

import { Refused } from "./api.js";
import { showBookings } from "./bookings.js";
import { showHolds } from "./chip.js";
import { copyOf, say, show } from "./dom.js";
import { FlightList } from "./flight_list.js";
import { FlightRows } from "./flight_rows.js";
import { FlightWishes } from "./flight_wishes.js";
import { presence } from "./presence.js";
import { count } from "./words.js";

const REFRESH_MS = 5_000;
const LONGEST_PAUSE_MS = 20_000;

/** A list that arrives sooner than this needs no skeletons in its place. */
const SKELETON_AFTER_MS = 150;
const SKELETONS = 4;

const byId = (id) => document.getElementById(id);
const [board, none, trouble, more, live] = ["board", "none", "trouble", "more", "live"].map(byId);

const wishes = new FlightWishes(byId("ask"));
const rows = new FlightRows(board, wishes.cities);
let list = new FlightList(wishes.query());
let failures = 0;
let timer = 0;
let turn = 0;

wishes.addEventListener("change", startAnew);
presence.addEventListener("wake", () => refresh());
document.addEventListener("visibilitychange", () => document.hidden && clearTimeout(timer));
byId("retry").addEventListener("click", () => refresh());
byId("all").addEventListener("click", (event) => keepHere(event, () => wishes.clear()));
more.addEventListener("click", (event) => keepHere(event, showMore));

document.documentElement.dataset.ready = "";
showHolds(document.querySelector("nav"), { onOrders: (orders) => showBookings(byId("bookings"), orders) });
refresh();

/** Show the list for the new filters, and skeletons until it arrives. */
async function startAnew() {
  list = new FlightList(wishes.query());
  board.setAttribute("aria-busy", "true");
  for (const element of [none, trouble, more]) show(element, false);
  const skeletons = setTimeout(drawSkeletons, SKELETON_AFTER_MS);
  const isShown = await refresh();
  clearTimeout(skeletons);
  if (isShown) say(list.flights.length ? `${count(list.flights.length, "flight")} found` : wishes.noneTitle());
}

async function showMore() {
  const known = list.flights.length;
  list.wantMore();
  if (await refresh()) rows.focus(list.flights[known]?.id);
}

/** Read the list again, and schedule the next read; return whether it arrived and is still wanted. */
async function refresh() {
  clearTimeout(timer);
  const mine = ++turn;
  const asked = list;
  let pause = REFRESH_MS;
  try {
    await asked.refresh();
    if (mine !== turn) return false;
    failures = 0;
    draw();
  } catch (error) {
    if (mine !== turn) return false;
    failures += 1;
    pause = Math.max(Math.min(1_000 * 2 ** failures, LONGEST_PAUSE_MS), error.retryAfterMs ?? 0);
    drawFailure(error);
  }
  if (!document.hidden) timer = setTimeout(refresh, pause);
  return failures === 0;
}

function drawSkeletons() {
  rows.replaceWith(Array.from({ length: SKELETONS }, () => copyOf("skeleton")));
}

function draw() {
  rows.show(list.flights);
  board.removeAttribute("aria-busy");
  show(trouble, false);
  show(none, list.flights.length === 0);
  byId("none-title").textContent = wishes.noneTitle();
  show(more, list.hasMore);
  tell(true);
}

function drawFailure(error) {
  if (error instanceof Refused) return drawRefusal();
  // Existing rows stay: they are a little old, and the line "Reconnecting" shows that.
  const isBare = list.flights.length === 0 && (board.getAttribute("aria-busy") === "true" || !none.hidden);
  if (isBare && trouble.hidden) say("Flights could not be loaded. Retrying automatically.", { atOnce: true });
  if (isBare) rows.replaceWith([]);
  show(none, false);
  show(trouble, isBare);
  tell(false);
}

/** The form sends only valid filters, so only a hand-written address is refused. */
function drawRefusal() {
  rows.replaceWith([]);
  board.removeAttribute("aria-busy");
  byId("none-title").textContent = "There are no such flights.";
  show(none, true);
}

function tell(isLive) {
  const words = isLive ? "Seats left are live" : "Reconnecting";
  if (live.textContent !== words) live.textContent = words;
  live.toggleAttribute("data-off", !isLive);
}

/** Act in this page, unless the link is to be opened in another tab or window. */
function keepHere(event, act) {
  if (event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  act();
}
