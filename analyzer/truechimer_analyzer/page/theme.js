// Light, dark, or as the system says. The style sheet does the rest by data-theme.

import { byId } from "./dom.js";

const ORDER = ["auto", "light", "dark"];

function stored() {
  try {
    const theme = localStorage.getItem("truechimer-theme");
    return ORDER.includes(theme) ? theme : "auto";
  } catch {
    return "auto"; // storage may be denied; the system's theme then
  }
}

function apply(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  byId("theme").textContent = `Theme: ${theme}`;
}

/** Apply the stored theme, let the button cycle it, and call `changed` after every change. */
export function startTheme(changed) {
  let theme = stored();
  apply(theme);
  byId("theme").addEventListener("click", () => {
    theme = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
    try {
      localStorage.setItem("truechimer-theme", theme);
    } catch {
      // not kept, still applied
    }
    apply(theme);
    changed();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
}
