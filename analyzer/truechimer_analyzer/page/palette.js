// Colours (Okabe and Ito's, safe for colour-blind readers) and the shapes and words that go with them.

/** The present value of a CSS custom property. */
export function ink(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Judgements: sign, words. The colour is in the style sheet by data-judgement. */
export const JUDGEMENTS = {
  proven_within: { sign: "✓", words: "proven within the limit" },
  unproven: { sign: "?", words: "not proven" },
  proven_beyond: { sign: "✕", words: "proven beyond the limit" },
};

/** Causes of pauses: colour, and a shape so that colour is not needed. */
export const CAUSES = {
  run_queue: { colour: "series-1", shape: "circle" },
  throttled: { colour: "series-2", shape: "square" },
  steal: { colour: "series-3", shape: "diamond" },
  stopped: { colour: "series-4", shape: "cross" },
  frozen: { colour: "series-5", shape: "plus" },
  suspend: { colour: "series-6", shape: "down" },
  vm_pause: { colour: "series-3", shape: "up" },
  memory: { colour: "series-5", shape: "square" },
  io: { colour: "series-6", shape: "diamond" },
  gc: { colour: "series-4", shape: "up" },
  safepoint: { colour: "series-2", shape: "down" },
  unknown: { colour: "muted", shape: "ring" },
};

/** Colour and dash of the nth line of a chart. */
export function lineStyle(index) {
  const dashes = [[], [7, 4], [2, 3]];
  return { colour: `series-${(index % 6) + 1}`, dash: dashes[Math.floor(index / 6) % dashes.length] };
}

const OUTLINES = {
  square: "M-4 -4H4V4H-4Z",
  diamond: "M0 -5.5L5.5 0L0 5.5L-5.5 0Z",
  up: "M0 -5L5 4.5H-5Z",
  down: "M0 5L5 -4.5H-5Z",
  circle: "M-4.5 0A4.5 4.5 0 1 0 4.5 0A4.5 4.5 0 1 0 -4.5 0Z",
};
const STROKES = {
  cross: "M-4 -4L4 4M-4 4L4 -4",
  plus: "M0 -5V5M-5 0H5",
  ring: "M-4 0A4 4 0 1 0 4 0A4 4 0 1 0 -4 0Z",
};

/** A shape as a path around 0,0, about 10 units wide: {path, filled}. */
export function outline(shape) {
  return shape in STROKES ? { path: STROKES[shape], filled: false } : { path: OUTLINES[shape], filled: true };
}
