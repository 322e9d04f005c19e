// Builds elements. Text always becomes text nodes, so that it is never parsed as markup.

const SVG = "http://www.w3.org/2000/svg";

/** Return the element with an id. */
export const byId = (id) => document.getElementById(id);

/** Focus a field, except on touch screens, where a keyboard would open. */
export function offerFocus(field) {
  if (matchMedia("(pointer: fine)").matches) field.focus();
}

/** Return a new element. `on…` attributes that are functions become listeners. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

/** Return one of the symbols in index.html. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** Return a button with an icon and a text. */
export function button(symbol, text, onclick, attributes = {}) {
  const parts = [icon(symbol), element("span", {}, text)];
  return element("button", { type: "button", class: "quiet", onclick, ...attributes }, ...parts);
}
