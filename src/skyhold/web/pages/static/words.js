// Format money, times, seats and counts, written and spoken. Independent of the pages.

const LANGUAGE = "en-US";

/** @type {Map<string, Intl.NumberFormat>} */
const moneyFormats = new Map();

/** "$350", "$1,830", "$350.50": whole amounts without cents. */
export function money(cents, currency) {
  const digits = cents % 100 === 0 ? 0 : 2;
  const key = `${currency} ${digits}`;
  if (!moneyFormats.has(key)) {
    const options = { style: "currency", currency, minimumFractionDigits: digits, maximumFractionDigits: digits };
    moneyFormats.set(key, new Intl.NumberFormat(LANGUAGE, options));
  }
  return moneyFormats.get(key).format(cents / 100);
}

/** "350 dollars", as it is read out. */
export function spokenMoney(cents, currency) {
  const digits = cents % 100 === 0 ? 0 : 2;
  const options = { style: "currency", currency, currencyDisplay: "name", minimumFractionDigits: digits };
  return new Intl.NumberFormat(LANGUAGE, { ...options, maximumFractionDigits: digits })
    .format(cents / 100)
    .replace("US dollar", "dollar");
}

/** "14A", "14A and 14B", "14A, 14B and 14C". */
export function list(words) {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/** "1 seat", "2 seats". */
export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** "is" or "are", by how many. */
export function areFor(number) {
  return number === 1 ? "is" : "are";
}

/** Text with a capital first letter. */
export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * An instant as clocks at a place show it: `{time: "09:00", zone: "EST", day: "Tue 24 Nov"}`; a day has no-break spaces.
 *
 * @param {string | number} instant RFC 3339, or milliseconds since 1970
 * @param {string} [zone] IANA; by default that of the reader
 */
export function atPlace(instant, zone) {
  const date = new Date(instant);
  const parts = (options, language) =>
    Object.fromEntries(
      new Intl.DateTimeFormat(language, { timeZone: zone, ...options }).formatToParts(date).map((p) => [p.type, p.value]),
    );
  const { hour, minute } = parts({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" }, "en-GB");
  const { weekday, day, month } = parts({ weekday: "short", day: "numeric", month: "short" }, "en-GB");
  return { time: `${hour}:${minute}`, day: [weekday, day, month.slice(0, 3)].join("\u00a0"), zone: zoneName(date, zone) };
}

// Short names that are clear by themselves, and well-known ones that browsers leave out; any other zone is written as
// its offset from GMT. The server writes the same (words.py).
const CLEAR_NAME = /^([ECMPA][SD]T|AK[SD]T|HST|GMT|UTC|BST|[WCE]ES?T|A[CE][SD]T|AWST|NZ[SD]T)$/;
const ONE_NAME = {
  "Asia/Dubai": "GST",
  "Asia/Hong_Kong": "HKT",
  "Asia/Seoul": "KST",
  "Asia/Singapore": "SGT",
  "Asia/Tokyo": "JST",
};

function zoneName(date, timeZone) {
  const place = timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (ONE_NAME[place]) return ONE_NAME[place];
  const name = (language, timeZoneName) =>
    new Intl.DateTimeFormat(language, { timeZone, timeZoneName })
      .formatToParts(date)
      .find((found) => found.type === "timeZoneName").value;
  // Each language has short names of its own zones only: "EST" is American, "CET" British.
  const names = ["en-US", "en-GB", "en-AU"].map((language) => name(language, "short"));
  return names.find((found) => CLEAR_NAME.test(found)) ?? name("en-US", "shortOffset").replace(/\+0$/, "");
}

/** The sky that a window shows at this time of the day, such as "07:40". */
export function skyAt(time) {
  const hour = Number(time.slice(0, 2));
  if (hour >= 5 && hour < 8) return "dawn";
  if (hour >= 8 && hour < 17) return "day";
  return hour >= 17 && hour < 20 ? "dusk" : "night";
}

/** "6 h", "5 h 30 min", "45 min", between two instants. */
export function duration(from, to) {
  const minutes = Math.round((new Date(to) - new Date(from)) / 60_000);
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  return [hours && `${hours} h`, rest && `${rest} min`].filter(Boolean).join(" ") || "0 min";
}

/** "fifteen minutes", "2 minutes 30 seconds", "5 seconds": a length of time in words. */
export function lengthOfTime(milliseconds) {
  const seconds = Math.round(milliseconds / 1000);
  const [minutes, rest] = [Math.floor(seconds / 60), seconds % 60];
  if (minutes && !rest) return count(minutes, "minute");
  return [minutes && count(minutes, "minute"), count(rest, "second")].filter(Boolean).join(" ");
}

/** "12:41" of milliseconds; rounded up to seconds, so that 0:00 is shown only at the end. */
export function digits(milliseconds) {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
