// The map: the ward, its cells and the samples of one operator on one day, drawn without anything of
// others. In metres around the ward's middle, north up. What a cell or sample is, its form says too.
import { h } from "./dom.js";
import { number, t } from "./words.js";

const ZONE_MS = 7 * 3600e3, REACH_PX = 24, MARGIN = 0.04, DOT = 0.007; // a symbol's half, of the map's width as it is seen
const models = new WeakMap(); // answer: {part: model}

// Metres of a degree (Snyder): to a few millimetres.
function metres(lat) {
  const f = (lat * Math.PI) / 180;
  return [111132.92 - 559.82 * Math.cos(2 * f) + 1.175 * Math.cos(4 * f), 111412.84 * Math.cos(f) - 93.5 * Math.cos(3 * f)];
}

const dm = (v) => Math.round(v * 10) / 10;
const kindOf = (s) => (s.state === "covered" ? "covered" : s.state === "not covered" ? "not" : "other");

function make(geo, part) {
  const of = (kind) => geo.features.filter((f) => f.properties.kind === kind), rings = of("area").flatMap((f) => f.geometry.coordinates.flat());
  const all = rings.flat(), lons = all.map((c) => c[0]), lats = all.map((c) => c[1]);
  const low = (v) => v.reduce((a, b) => Math.min(a, b)), high = (v) => v.reduce((a, b) => Math.max(a, b));
  const [west, east, south, north] = [low(lons), high(lons), low(lats), high(lats)], [tall, wide] = metres((south + north) / 2);
  const x = (lon) => dm((lon - west) * wide), y = (lat) => dm((north - lat) * tall), edge = Math.max(x(east), y(south)) * MARGIN;
  const box = [-edge, -edge, x(east) + 2 * edge, y(south) + 2 * edge].map(dm);
  const dateOf = ({ date, time }) => date ?? new Date(Date.parse(time) + ZONE_MS).toISOString().slice(0, 10); // of the site
  const mine = (f) => part && f.properties.operator === part.operator && dateOf(f.properties) === part.date;
  const cells = new Map();
  for (const f of of("cell")) {
    const name = `${f.properties.row}/${f.properties.col}`;
    if (mine(f) || !cells.has(name)) cells.set(name, { ring: f.geometry.coordinates[0], is: mine(f) ? f.properties.state : "not visited" });
  }
  const paths = { covered: "", visited: "", "not visited": "" };
  let hatch = "";
  for (const { ring: [[w, s], , [e, n]], is } of cells.values()) {
    paths[is] += `M${x(w)} ${y(n)}H${x(e)}V${y(s)}H${x(w)}z`;
    if (is === "visited") hatch += `M${x(w)} ${y(s)}L${x(e)} ${y(n)}`;
  }
  const samples = of("sample").filter(mine).map((f) => ({ ...f.properties, t_ms: Date.parse(f.properties.time), lon: f.geometry.coordinates[0], lat: f.geometry.coordinates[1],
    x: x(f.geometry.coordinates[0]), y: y(f.geometry.coordinates[1]) })).sort((a, b) => a.t_ms - b.t_ms);
  const ward = rings.map((r) => `M${r.map(([lon, lat]) => `${x(lon)} ${y(lat)}`).join("L")}z`).join("");
  return { box, cells: cells.size, paths, hatch, samples, ward, dots: new Map() };
}

// The same object while its answer is the same.
export function modelOf(geo, part) {
  const key = part ? `${part.operator}/${part.date}` : "";
  if (!models.has(geo)) models.set(geo, new Map());
  const known = models.get(geo);
  if (!known.has(key)) known.set(key, make(geo, part));
  return known.get(key);
}

// Around (x, y), r to each side: a disc, a cross, a diamond.
const SHAPES = {
  covered: (x, y, r) => `M${dm(x - r)} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`,
  not: (x, y, r) => `M${dm(x - r)} ${dm(y - r)}l${2 * r} ${2 * r}m0 ${-2 * r}l${-2 * r} ${2 * r}`,
  other: (x, y, r) => `M${x} ${dm(y - r)}l${r} ${r}l${-r} ${r}l${-r} ${-r}z`,
};

function dots(m, r) {
  if (!m.dots.has(r)) {
    const paths = { covered: "", not: "", other: "" };
    for (const s of m.samples) paths[kindOf(s)] += SHAPES[kindOf(s)](s.x, s.y, r);
    m.dots.set(r, paths);
  }
  return m.dots.get(r);
}

function nearest(m, e) {
  const svg = e.currentTarget.getBoundingClientRect(), scale = m.box[2] / svg.width;
  const x = (e.clientX - svg.left) * scale + m.box[0], y = (e.clientY - svg.top) * scale + m.box[1];
  const far = (s) => Math.hypot(s.x - x, s.y - y), best = m.samples.reduce((a, b) => (a && far(a) <= far(b) ? a : b), null);
  return best && far(best) <= REACH_PX * scale ? best : null;
}

export function map(m, { zoom, chosen, pick, label }) {
  const r = dm((Math.max(m.box[2], m.box[3]) * DOT) / zoom), at = dots(m, r);
  return h("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": t("survey.map") },
    h("svg", { id: "map", class: `zoom${zoom}`, viewBox: m.box.join(" "), role: "img", "aria-label": label, onclick: (e) => pick(nearest(m, e)) },
      h("path", { class: "cell none", d: m.paths["not visited"] }), h("path", { class: "cell visited", d: m.paths.visited }), h("path", { class: "cell hatch", d: m.hatch }),
      h("path", { class: "cell covered", d: m.paths.covered }), h("path", { class: "ward", d: m.ward }),
      Object.entries(at).map(([kind, d]) => [h("path", { class: "dot halo", d }), h("path", { class: `dot ${kind}`, d })]),
      chosen && h("circle", { class: "chosen", cx: chosen.x, cy: chosen.y, r: dm(2.2 * r) })));
}

// ---- legend, scale and north -----------------------------------------------------------------------

// 1, 2 or 5 and noughts, at most a third of what is seen.
function round(most) {
  const ten = 10 ** Math.floor(Math.log10(most));
  return [5, 2, 1].map((n) => n * ten).find((n) => n <= most) ?? ten;
}

const sample = (kind) => h("svg", { viewBox: "-10 -10 20 20", class: "mark", "aria-hidden": "true" }, h("path", { class: `dot ${kind}`, d: SHAPES[kind](0, 0, 6) }));
const cell = (kind) => h("svg", { viewBox: "-10 -10 20 20", class: "mark", "aria-hidden": "true" }, h("path", { class: `cell ${kind}`, d: "M-8-8H8V8H-8z" }),
  kind === "visited" && h("path", { class: "cell hatch", d: "M-8 8L8-8" }));

export function legend(m, zoom) {
  const seen = m.box[2] / zoom, long = round(seen / 3), high = seen / 40;
  return [h("svg", { class: "scale", viewBox: `0 0 ${dm(seen)} ${dm(high)}`, "aria-hidden": "true" }, h("path", { d: `M1 0V${dm(high)}M1 ${dm(high / 2)}H${long}M${long} 0V${dm(high)}` })),
    h("p", { class: "quiet" }, h("span", { id: "scale" }, t("survey.scale", { length: long >= 1000 ? `${number(long / 1000)} km` : `${number(long)} m` })), " · ↑ ", t("survey.north")),
    h("ul", { class: "legends" }, [["covered", "survey.cell_covered"], ["visited", "survey.cell_visited"], ["none", "survey.cell_none"]].map(([k, word]) => h("li", {}, cell(k), t(word))),
      [["covered", "survey.dot_covered"], ["not", "survey.dot_not"], ["other", "survey.dot_other"]].map(([k, word]) => h("li", {}, sample(k), t(word))))];
}
