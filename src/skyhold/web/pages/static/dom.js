// Make, find and fill elements. All text is inserted as text, so nothing that is shown can become markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element. `props` are attributes; those whose value is null, undefined or false are left out, `true` is an
 * empty attribute, functions under `on…` are listeners, and `style` is an object of custom or plain properties.
 *
 * @param {string} name
 * @param {Record<string, any>} [props]
 * @param {...(Node | string | number | null | undefined | false)} children
 * @returns {HTMLElement}
 */
export function el(name, props = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [rule, set] of Object.entries(value)) made.style.setProperty(rule, set);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** Return an icon of the sprite that every page carries (templates/icons.svg); words beside it say what it means. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("class", "i");
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** Return a copy of the first element in the page's `<template id="t-…">`. */
export function copyOf(name) {
  return document.getElementById(`t-${name}`).content.firstElementChild.cloneNode(true);
}

/** Return the part of `root` that is marked `data-part="name"`. */
export function part(root, name) {
  return root.querySelector(`[data-part="${name}"]`);
}

/**
 * Set the text of parts of `root`; a part that has the text already is left alone, so that nothing is read out twice.
 *
 * @param {Element} root
 * @param {Record<string, string | number>} words
 */
export function fill(root, words) {
  for (const [name, text] of Object.entries(words)) {
    const found = part(root, name);
    if (found && found.textContent !== String(text)) found.textContent = text;
  }
}

/** Show or hide an element. */
export function show(element, isShown) {
  if (element.hidden === isShown) element.hidden = !isShown;
}

/** Lines added in this very moment: the next one does not replace them, since they have not been read out yet. */
const unheard = new Set();

/** Announce a text to screen readers, without moving anything: when the listener is idle, or at once. */
export function say(text, { atOnce = false } = {}) {
  const region = document.getElementById(atOnce ? "say-at-once" : "say");
  const kept = [...region.children].filter((line) => unheard.has(line) && line.textContent !== text);
  const line = el("p", {}, text);
  region.replaceChildren(...kept, line);
  unheard.add(line);
  setTimeout(() => unheard.delete(line));
  setTimeout(() => line.remove(), 10_000);
}
