// Elements built from data: text only ever becomes text nodes, never markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An HTML element; `properties` become attributes, `onclick` and the like listeners. */
export function h(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** An SVG element. */
export function s(tag, properties, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

/** The element with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * Replace a container's content, keeping keyboard focus, opened details and scroll position:
 * elements that matter carry a `data-key`.
 */
export function redraw(container, ...content) {
  const focused = container.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  const open = new Set([...container.querySelectorAll("details[open][data-key]")].map((d) => d.dataset.key));
  const scrolled = new Map(
    [...container.querySelectorAll("[data-scroll]")].map((e) => [e.dataset.scroll, [e.scrollTop, e.scrollLeft]]),
  );
  container.replaceChildren(...content.filter(Boolean));
  for (const details of container.querySelectorAll("details[data-key]")) details.open = open.has(details.dataset.key);
  for (const element of container.querySelectorAll("[data-scroll]")) {
    [element.scrollTop, element.scrollLeft] = scrolled.get(element.dataset.scroll) ?? [0, 0];
  }
  if (focused !== undefined) {
    container.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }
}
