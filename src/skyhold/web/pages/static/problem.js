// Retries a page that is unavailable, and loads it again when it is back.

const FIRST_WAIT_MS = 3_000;
const LONGEST_WAIT_MS = 30_000;
const TOO_OFTEN = 429;

document.documentElement.dataset.ready = "";
setTimeout(ask, FIRST_WAIT_MS, FIRST_WAIT_MS);

async function ask(waited) {
  const reply = await fetch(location.href, { method: "HEAD", cache: "no-store" }).catch(() => null);
  if (reply && reply.status < 500 && reply.status !== TOO_OFTEN) return location.reload();
  const wait = Math.min(waited * 1.5, LONGEST_WAIT_MS) * (0.8 + Math.random() * 0.4);
  const atLeast = 1000 * Number(reply?.headers.get("Retry-After") ?? 0);
  setTimeout(ask, Math.max(wait, atLeast), wait);
}
