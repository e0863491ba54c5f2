// One picture of series that share a unit: mean as a line, min to max as a band, gaps as gaps with
// their cause. uPlot draws; it is loaded by the first picture.
import { h } from "./dom.js";
import { clock, day, dayShort, minute, month, number, t, unitText, zone } from "./words.js";

const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]]; // and as many colours, --c0 and so on in app.css
const HEIGHT = 260, HOUR_S = 3600, DAY_S = 86400, CAUSE_PX = 70, TOUCH_MS = 250;
const boxes = new Map(); // key: {el, plot, model, held}
let library = null;

// A counter's mean says nothing: what it showed at the end does.
const line = (c) => (c.grown ? c.max : c.mean);

// An empty column interrupts the line (null), but not where the next reading was not due yet: whoever is read
// each minute has none in most columns of 15 s (undefined). Never across what the gateway calls a gap.
function bridged({ chart: c, due_ms }, column) {
  const out = [...column], gap = (a, b) => c.gaps.some((g) => g.from_ms < b && g.to_ms > a);
  for (let i = 0, last = -1; i < out.length; i++) {
    if (out[i] === null) continue;
    const [a, b] = [c.from_ms + (last + 1) * c.step_ms, c.from_ms + i * c.step_ms];
    if (last >= 0 && b - a <= due_ms && !gap(a, b)) out.fill(undefined, last + 1, i);
    last = i;
  }
  return out;
}
const table = (s) => [s.chart.mean.map((_, i) => (s.chart.from_ms + (i + 0.5) * s.chart.step_ms) / 1000),
  ...[line(s.chart), s.chart.min, s.chart.max].map((column) => bridged(s, column))];

// What has no line to the next is a dot, or nobody would see it.
const alone = (u, si) => {
  const y = u.data[si], next = (i, by) => {
    for (i += by; y[i] === undefined && i >= 0 && i < y.length; i += by);
    return y[i] ?? null;
  };
  return [...y.keys()].filter((i) => (y[i] ?? null) !== null && next(i, -1) === null && next(i, 1) === null);
};

function axisTime(u, splits, axis, space, step) {
  return splits.map((s) => (step >= 28 * DAY_S ? month(s * 1000) : step >= DAY_S ? dayShort(s * 1000)
    : step < 60 ? clock(s * 1000) : step < HOUR_S || minute(s * 1000) !== "00:00" ? minute(s * 1000) : dayShort(s * 1000)));
}

const decimals = (step) => Math.min(6, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)));

// Grey stripes where nothing was measured, and why, where there is room for it.
function gaps(u, model) {
  const { ctx } = u, { top, height, left, width } = u.bbox;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  for (const g of model.series.flatMap((s) => s.chart.gaps)) {
    const from = u.valToPos(g.from_ms / 1000, "x", true), to = u.valToPos(g.to_ms / 1000, "x", true);
    const wide = Math.max(to - from, 2 * devicePixelRatio);
    ctx.fillStyle = "rgba(120, 128, 136, .28)";
    ctx.fillRect(from, top, wide, height);
    if (wide < CAUSE_PX * devicePixelRatio) continue;
    ctx.fillStyle = model.ink;
    ctx.textBaseline = "top";
    ctx.textAlign = "left";
    ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.fillText(t(`gap.${g.cause}`), Math.max(from, left) + 4, top + 4, wide - 8);
  }
  ctx.restore();
}

// What stands behind the reading that is nearest to a place of the picture.
function whyLink(s, at_s) {
  const a = document.createElement("a");
  a.className = "go because";
  a.href = `#/why/${s.chart.series}?at=${Math.round(at_s * 1000)}&within=${Math.min(DAY_S * 1000, s.chart.step_ms)}`;
  a.textContent = t("chart.why");
  return a;
}

// Under the picture: what is at the cursor, or the last of each.
function read(box, idx) {
  const { model, plot } = box;
  model.series.forEach((s, i) => {
    const [mean, min, max] = [1, 2, 3].map((k) => plot.data[3 * i + k]);
    let at = idx ?? mean.length - 1;
    const pass = (v) => (idx === null || idx === undefined ? (v ?? null) === null : v === undefined);
    while (at > 0 && pass(mean[at])) at--;
    const v = mean[at], d = s.decimals;
    s.said = (v ?? null) === null ? (idx ?? null) === null ? t("chart.no_data") : `${minute(plot.data[0][at] * 1000)} –`
      : `${model.long ? day(plot.data[0][at] * 1000) : minute(plot.data[0][at] * 1000)}: ${number(v, d)}${
        min[at] === max[at] ? "" : ` (${number(min[at], d)} – ${number(max[at], d)})`} ${unitText(s.chart.unit)}`;
    document.getElementById(`said-${s.id}`)?.replaceChildren(s.said, ...(v ?? null) === null ? [] : [" ", whyLink(s, plot.data[0][at])]);
  });
}

// Two fingers zoom, one moves sideways; up and down still scrolls the page. Ends with new bounds.
function touch(u, box) {
  const { model } = box, fingers = new Map();
  let start = null, before = null, timer = 0; // of this arrangement of fingers; of the whole gesture
  const x = () => [...fingers.values()].map((e) => e.clientX - u.over.getBoundingClientRect().left);
  const begin = () => { start = { x: x(), min: u.scales.x.min, max: u.scales.x.max }; };
  const value = (px) => start.min + (px / u.over.clientWidth) * (start.max - start.min);
  u.over.addEventListener("pointerdown", (e) => {
    if (e.pointerType === "mouse") return;
    clearTimeout(timer);
    fingers.set(e.pointerId, e);
    begin();
    before ??= start;
    box.held = true; // no new picture under the fingers
  });
  u.over.addEventListener("pointermove", (e) => {
    if (!fingers.has(e.pointerId)) return;
    fingers.set(e.pointerId, e);
    const now = x();
    if (now.length === 1) {
      const by = value(start.x[0]) - value(now[0]);
      u.setScale("x", { min: start.min + by, max: start.max + by });
    } else if (now.length === 2) {
      const zoom = Math.max(8, Math.abs(start.x[0] - start.x[1])) / Math.max(8, Math.abs(now[0] - now[1]));
      const middle = value((start.x[0] + start.x[1]) / 2), wide = (start.max - start.min) * zoom;
      const min = middle - ((now[0] + now[1]) / 2 / u.over.clientWidth) * wide;
      u.setScale("x", { min, max: min + wide });
    }
  });
  const end = (e) => {
    if (!fingers.delete(e.pointerId)) return;
    if (fingers.size) {
      begin();
      return;
    }
    const { min, max } = u.scales.x, moved = Math.abs(min - before.min) + Math.abs(max - before.max);
    before = null;
    box.held = false;
    if (moved < (max - min) / 50) return;
    timer = setTimeout(() => model.zoom(Math.round(min * 1000), Math.round(max * 1000)), TOUCH_MS);
  };
  for (const name of ["pointerup", "pointercancel"]) u.over.addEventListener(name, end);
}

function options(uPlot, box) {
  const { model, el } = box, style = getComputedStyle(document.documentElement);
  const color = (i) => style.getPropertyValue(`--c${i % DASHES.length}`);
  model.ink = style.getPropertyValue("--ink");
  const grid = { stroke: style.getPropertyValue("--line"), width: 1 };
  const axis = { stroke: model.ink, grid, ticks: grid, font: "13px system-ui, sans-serif" };
  return {
    width: el.clientWidth, height: HEIGHT, legend: { show: false },
    tzDate: (s) => uPlot.tzDate(new Date(s * 1000), zone),
    scales: { x: { min: model.from_ms / 1000, max: model.to_ms / 1000 } },
    cursor: { drag: { x: true, y: false, setScale: false } },
    axes: [{ ...axis, values: axisTime, space: 64 },
      { ...axis, size: 62, values: (u, splits, a, space, step) => splits.map((v) => number(v, decimals(step))) }],
    series: [{}, ...model.series.flatMap((s, i) => [
      { stroke: color(i), width: 2, dash: DASHES[i % DASHES.length], points: s.chart.mean.length < 60 ? { show: true } : { show: true, filter: alone } },
      { stroke: "transparent", width: 0, points: { show: false } }, { stroke: "transparent", width: 0, points: { show: false } }])],
    bands: model.series.map((_, i) => ({ series: [3 * i + 3, 3 * i + 2], fill: `${color(i)}38` })),
    hooks: {
      drawClear: [(u) => gaps(u, model)],
      setCursor: [(u) => read(box, u.cursor.idx)],
      setSelect: [(u) => {
        if (u.select.width < 8) return;
        const at = [u.select.left, u.select.left + u.select.width].map((px) => Math.round(u.posToVal(px, "x") * 1000));
        model.zoom(...at);
      }],
      ready: [(u) => touch(u, box)],
    },
  };
}

async function paint(key, model) {
  const box = boxes.get(key);
  if (!box || box.held || box.model === model) return;
  box.model = model;
  try {
    library ??= import("./uplot.js");
    const { default: uPlot } = await library;
    if (box.model !== model || !box.el.isConnected) return;
    box.plot?.destroy();
    const data = model.series.length > 1 ? uPlot.join(model.series.map(table)) : table(model.series[0]);
    box.plot = new uPlot(options(uPlot, box), data, box.el);
    read(box, null);
  } catch {
    library = null; // an upgrade since this page was loaded: it has other files now
    box.model = null;
  }
}

function made(key, el) {
  for (const [k, old] of boxes) if (!old.el.isConnected) boxes.delete(k);
  const box = { el, plot: null, model: null };
  boxes.set(key, box);
  new ResizeObserver(() => box.plot?.setSize({ width: el.clientWidth, height: HEIGHT })).observe(el);
}

// Drawn again in the other colours at dusk, and for paper, which is never dark.
matchMedia("screen and (prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const [key, { model }] of boxes) {
    if (!model) continue;
    boxes.get(key).model = null;
    void paint(key, model);
  }
});

// model: {from_ms, to_ms, long, label, series: [{id, name, chart, decimals, due_ms: the line stands so long}], zoom(from_ms, to_ms)}; the
// same object as long as nothing changed; null: it is on its way, and what is there stays.
export function picture(key, model) {
  if (model) queueMicrotask(() => void paint(key, model));
  return h("div", { key, class: "plot", role: model ? "img" : null, "aria-label": model?.label ?? null, made: (el) => made(key, el) });
}
