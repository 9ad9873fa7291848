// The public HTTP API as the pages use it: reads, and commands that are retried until they are answered.
//
// All tries of a command have one Idempotency-Key, so a lost reply never holds twice and never pays twice.

import { serverClock } from "./server_clock.js";

const READ_TIMEOUT_MS = 10_000;
const COMMAND_TIMEOUT_MS = 20_000;
const COMMAND_PATIENCE_MS = 120_000;
const PAUSES_MS = [500, 1_000, 2_000, 3_000, 5_000];

/** The path of PUBLIC_URL, such as "/fly", or nothing: every module lies two folders below it. */
const PREFIX = new URL("../..", import.meta.url).pathname.slice(0, -1);

/** Paths requested before: the first reply to each may be older than its request. @type {Set<string>} */
const asked = new Set();

/** The server refused the request: the message is the server's, `code` its error code, `problem` the whole body. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? "The request was refused.");
    this.status = status;
    this.code = problem.error ?? "INTERNAL";
    this.problem = problem;
  }
}

/** The server did not answer, or is unavailable: the outcome of the request is unknown. */
export class Unanswered extends Error {
  constructor(retryAfterMs = 0) {
    super("The server did not answer.");
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * The address of a page or of the API, as browsers reach it.
 *
 * @param {string} path begins with a slash
 */
export const at = (path) => PREFIX + path;

/**
 * Read a path of the API.
 *
 * @param {string} path
 * @param {{etag?: string | null}} [known] the tag of the body that the caller has already
 * @returns {Promise<{body: any, etag: string | null}>} `body` is null if that body is still current
 * @throws {Refused | Unanswered}
 */
export async function read(path, { etag = null } = {}) {
  const reply = await ask(path, { headers: etag ? { "If-None-Match": etag } : {} }, READ_TIMEOUT_MS);
  return { body: reply.status === 304 ? null : await bodyOf(reply), etag: reply.headers.get("ETag") };
}

/**
 * Send a command until it is answered, for two minutes at most.
 *
 * @param {"POST" | "PUT" | "DELETE"} method
 * @param {string} path
 * @param {{body?: object, version?: number, onWaiting?: (isWaiting: boolean) => void}} [more] `version`: only if the
 *   order's seats still have it; `onWaiting` is called when an answer is overdue, and when it came
 * @returns {Promise<any>} the server's answer, with the order's `version` where the reply has one
 * @throws {Refused | Unanswered}
 */
export async function command(method, path, { body, version, onWaiting = () => {} } = {}) {
  const endsAt = performance.now() + COMMAND_PATIENCE_MS;
  let key = newKey();
  for (let attempt = 0; ; attempt += 1) {
    try {
      const answer = await send(method, path, { body, version, key });
      if (attempt > 0) onWaiting(false);
      return answer;
    } catch (error) {
      const pause = Math.max(PAUSES_MS[Math.min(attempt, PAUSES_MS.length - 1)], error.retryAfterMs ?? 0);
      // DEADLINE_EXCEEDED means that nothing was done, and never will be under this key: the retry needs a new one.
      if (error.code === "DEADLINE_EXCEEDED") key = newKey();
      else if (!(error instanceof Unanswered)) throw error;
      if (performance.now() + pause > endsAt) throw error;
      onWaiting(true);
      await waitForTurn(pause);
    }
  }
}

async function send(method, path, { body, version, key }) {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
  if (version !== undefined) headers["If-Match"] = `"${version}"`;
  if (method === "DELETE") delete headers["Idempotency-Key"];
  const reply = await ask(path, { method, headers, body: body && JSON.stringify(body) }, COMMAND_TIMEOUT_MS);
  if (reply.status === 204) return null;
  // The version of an order's seats comes as its ETag.
  return { ...(await bodyOf(reply)), version: Number(reply.headers.get("ETag")?.replaceAll('"', "")) };
}

async function ask(path, options, timeout) {
  const sentAt = performance.now();
  let reply;
  try {
    reply = await fetch(at(path), { ...options, cache: "no-store", signal: AbortSignal.timeout(timeout) });
  } catch {
    throw new Unanswered();
  }
  Object.assign(reply, preloadOf(path) ?? { sentAt, receivedAt: performance.now() });
  if (reply.ok || reply.status === 304) return reply;
  throw await refusalOf(reply);
}

/** The times of the browser's own preload of a path, from before this module ran: once for each path. */
function preloadOf(path) {
  if (asked.has(path)) return null;
  asked.add(path);
  const loads = performance.getEntriesByName(new URL(at(path), location.href).href, "resource");
  const preload = loads.find(({ initiatorType }) => initiatorType === "link");
  return preload ? { sentAt: preload.requestStart, receivedAt: preload.responseStart } : null;
}

async function bodyOf(reply) {
  let body;
  try {
    body = await reply.json();
  } catch {
    throw new Unanswered();
  }
  const serverTime = body.serverTime ?? body.orders?.[0]?.serverTime;
  if (serverTime) serverClock.observe(serverTime, reply.sentAt, reply.receivedAt);
  return body;
}

async function refusalOf(reply) {
  const isPassing = reply.status >= 500 || reply.status === 429 || reply.status === 408;
  if (isPassing) return new Unanswered(1000 * Number(reply.headers.get("Retry-After") ?? 0));
  const problem = await reply.json().catch(() => ({}));
  return new Refused(reply.status, problem);
}

/** Wait this long, but not longer than until the browser is back online. */
function waitForTurn(milliseconds) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    addEventListener("online", done, { once: true });
    function done() {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    }
  });
}

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
