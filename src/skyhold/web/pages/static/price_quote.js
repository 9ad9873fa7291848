// Seats whose total is not the one that the page showed: both totals in words. Loaded at the first use.

import { fill, part, say, show } from "./dom.js";
import { list, money } from "./words.js";

/**
 * Show the question in its section of templates/flight.html, or hide it.
 *
 * @param {HTMLElement} root the panel
 * @param {{quote: import("./hold.js").Quote | null, hasOrder: boolean, currency: string}} what
 */
export function drawQuote(root, { quote, hasOrder, currency }) {
  const section = part(root, "quote");
  show(section, quote !== null);
  if (!quote) return;
  const [before, after] = [quote.shown, quote.now].map((cents) => money(cents, currency));
  const text = `${list(quote.seats)} cost ${before} when you chose, and ${after} now.`;
  const agree = `${hasOrder ? "Change" : "Hold"} for ${after}`;
  fill(root, { "quote-text": text, agree, disagree: hasOrder ? "Keep my seats" : "Choose others" });
  say(`The price has changed. ${text}`, { atOnce: true });
}
