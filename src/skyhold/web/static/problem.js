// A page that could not be shown for the moment asks again, and shows itself when it can.

const FIRST_WAIT = 3_000;
const LONGEST_WAIT = 30_000;

document.documentElement.dataset.ready = "";
setTimeout(ask, FIRST_WAIT, FIRST_WAIT);

async function ask(waited) {
  const is = await fetch(location.href, { method: "HEAD", cache: "no-store" }).then(({ status }) => status, () => 0);
  if (is !== 0 && is < 500) return location.reload();
  const next = Math.min(waited * 1.5, LONGEST_WAIT);
  setTimeout(ask, next * (0.8 + Math.random() * 0.4), next);
}
