// The marks of causes, in legends, tables and on charts.

import { s } from "./dom.js";
import { CAUSES, ink, outline } from "./palette.js";

/** A cause's colour, path and whether it is filled; unknown ones look alike. */
export function markOf(cause) {
  const { colour, shape } = Object.hasOwn(CAUSES, cause) ? CAUSES[cause] : CAUSES.unknown;
  return { colour, ...outline(shape) };
}

/** A cause's mark as a small picture, for legends and tables. */
export function causeMark(cause) {
  const { colour, path, filled } = markOf(cause);
  return s("svg", { class: "mark", viewBox: "-7 -7 14 14", width: 14, height: 14, "aria-hidden": "true" },
    s("path", { d: path, class: `${colour} ${filled ? "filled" : "stroked"}` }));
}

/** Draw marks on a uPlot: `y(one)` is where each stands on the axis of values. */
export function drawMarks(u, marks, y) {
  const { ctx, bbox } = u;
  const shapes = new Map([...new Set(marks.map((one) => one.cause))].map((cause) => {
    const { colour, path, filled } = markOf(cause);
    return [cause, { ink: ink(colour), path: new Path2D(path), filled }];
  }));
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left - 6, bbox.top - 6, bbox.width + 12, bbox.height + 12);
  ctx.clip();
  for (const one of marks) {
    const shape = shapes.get(one.cause);
    ctx.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, u.valToPos(one.at, "x", true), u.valToPos(y(one), "y", true));
    ctx.globalAlpha = 0.85;
    ctx.fillStyle = ctx.strokeStyle = shape.ink;
    ctx.lineWidth = 1.8;
    if (shape.filled) ctx.fill(shape.path);
    else ctx.stroke(shape.path);
  }
  ctx.restore();
}
