// Charts: an hour to years, several series beside each other, gaps and why, as a table and as CSV.
import { h } from "./dom.js";
import { ask, now, state } from "./state.js";
import { deviceName, deviceOf, pointName, seriesOf, STALE_PERIODS } from "./parts.js";
import { picture } from "./chart.js";
import { full, language, number, since, span, t, unitText } from "./words.js";

const HOUR = 3600e3, DAY = 24 * HOUR, SERIES_MAX = 4, POINTS_PHONE = 240, POINTS = 600, GAPS_SHOWN = 20;
const RANGES = { "1h": HOUR, "6h": 6 * HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "1y": 365 * DAY, "5y": 1826 * DAY };
const SHORTEST = 60e3, LIVE_PARTS = 120, SINGLE_MAX = 31 * DAY; // SINGLE_MAX: as the API takes it
const models = new Map(); // key: {made from which answers, the model}

export const find = (name) => state.points.find((p) => seriesOf(p) === name);
const nameOf = (p) => `${pointName(p)} · ${deviceName(deviceOf(p.device))}`;

// The bounds of a range that ends now, in steps, so that an answer is used for a while.
export function lately(length) {
  const step = Math.max(5000, length / LIVE_PARTS), to = Math.ceil(now() / step) * step;
  return [Math.round(to - length), Math.round(to)];
}

const query = (name, from, to) => new URLSearchParams({ series: name, from, to,
  points: window.innerWidth < 700 ? POINTS_PHONE : POINTS }).toString();

export function label(p, c) {
  const is = c.mean.map((v, i) => [c.min[i], v, c.max[i]]).filter((v) => v[1] !== null), d = p.decimals;
  if (!is.length) return t("chart.empty_of", { name: nameOf(p) });
  return t("chart.says", { name: nameOf(p), unit: unitText(c.unit), min: number(Math.min(...is.map((v) => v[0])), d),
    max: number(Math.max(...is.map((v) => v[2])), d), last: number(is.at(-1)[1], d) });
}

// The model of a picture, the same object while its answers are the same.
export function modelOf(key, points, answers, from, to, zoom) {
  if (answers.some((a) => !a.data)) return null;
  const is = models.get(key);
  if (is && is.language === language && is.from.length === answers.length && is.from.every((d, i) => d === answers[i].data)) return is.model;
  const series = points.map((p, i) => ({ id: `${key}-${i}`, name: nameOf(p), chart: answers[i].data, decimals: p.decimals, due_ms: STALE_PERIODS * p.period_ms }));
  const model = { from_ms: from, to_ms: to, long: to - from > 2 * DAY, series, zoom,
    label: points.map((p, i) => label(p, answers[i].data)).join(" ") };
  models.set(key, { language, from: answers.map((a) => a.data), model });
  return model;
}

function gapList(points, answers) {
  const all = points.flatMap((p, i) => answers[i].data.gaps.map((g) => ({ ...g, p }))).sort((a, b) => b.from_ms - a.from_ms);
  if (!all.length) return null;
  return h("details", { class: "gaps" }, h("summary", {}, t("chart.gaps", { n: number(all.length) })),
    h("ul", {}, all.slice(0, GAPS_SHOWN).map((g) => h("li", {}, h("b", {}, t(`gap.${g.cause}`)),
      ` ${full(g.from_ms)} – ${since(g.to_ms, g.from_ms)} (${span(g.to_ms - g.from_ms)})`, points.length > 1 && ` · ${nameOf(g.p)}`))),
    (all.length > GAPS_SHOWN || answers.some((a) => a.data.gaps_cut)) && h("p", { class: "quiet" }, t("chart.gaps_cut")));
}

function sums(points, answers) {
  const cell = (v, p) => h("td", {}, v === null ? "–" : number(v, p.decimals));
  return h("details", {}, h("summary", {}, t("chart.table")), h("div", { class: "wide" }, h("table", {},
    h("thead", {}, h("tr", {}, ["series", "unit", "min", "mean", "max", "count"].map((k) => h("th", { scope: "col" }, t(`chart.${k}`))))),
    h("tbody", {}, points.map((p, i) => {
      const c = answers[i].data, n = c.count.reduce((a, b) => a + b, 0), of = (list, f) => {
        const v = list.filter((x) => x !== null);
        return v.length ? f(...v) : null;
      };
      const mean = n ? c.mean.reduce((a, v, k) => a + (v === null ? 0 : v * c.count[k]), 0) / n : null;
      return h("tr", {}, h("th", { scope: "row" }, nameOf(p)), h("td", {}, unitText(c.unit)), cell(of(c.min, Math.min), p),
        cell(mean, p), cell(of(c.max, Math.max), p), h("td", {}, number(n)));
    })))));
}

// Pictures of some series over some time, one for each unit.
export function pictures(key, names, from, to, zoom) {
  const points = names.map(find).filter(Boolean), answers = points.map((p) => ask(`chart?${query(seriesOf(p), from, to)}`));
  const units = [...new Set(points.map((p) => p.unit ?? ""))];
  const whole = answers.every((a) => a.data);
  return [
    answers.some((a) => a.error && !a.data) && h("p", { class: "wrong", role: "alert" }, t("chart.failed")),
    ...units.map((unit, n) => {
      const own = points.map((p, i) => [p, answers[i]]).filter(([p]) => (p.unit ?? "") === unit);
      const id = `${key}-${n}`, model = modelOf(id, own.map((o) => o[0]), own.map((o) => o[1]), from, to, zoom);
      return h("figure", { key: `${id}-${own.map(([p]) => seriesOf(p)).join()}` }, picture(`${id}-${own.length}`, model),
        h("figcaption", {}, own.map(([p], i) => h("span", { class: "legend" },
          h("svg", { viewBox: "0 0 28 8", "aria-hidden": "true" }, h("path", { d: "M0 4h28", class: `line${i % 4}`, "stroke-width": "3",
            "stroke-dasharray": ["", "8 4", "2 3", "10 3 2 3"][i % 4] })),
          nameOf(p), h("span", { class: "said", id: `said-${id}-${i}`, made: () => {} })))));
    }),
    whole && points.length > 0 && gapList(points, answers),
    whole && points.length > 0 && sums(points, answers),
    points.length > 0 && h("ul", { class: "list" }, points.map((p) => h("li", { key: seriesOf(p) }, h("a", { class: "row", download: "",
      href: `/api/v1/chart.csv?${query(seriesOf(p), from, to)}` }, h("span", { class: "name" }, nameOf(p)), h("b", {}, t("chart.csv"))))),
    to - from <= SINGLE_MAX && h("li", { key: "readings" }, h("a", { class: "row", download: "", href: `/api/v1/readings.csv?${
      new URLSearchParams({ series: points.map(seriesOf).join(), from, to, lang: language })}` },
    h("span", { class: "name" }, points.map(pointName).join(", ")), h("b", {}, t("chart.csv_readings"))))),
  ];
}

export function charts(at) {
  const q = at.query, names = (q.get("s") ?? "").split(",").filter(find).slice(0, SERIES_MAX);
  const range = RANGES[q.get("r")] ? q.get("r") : "24h", fixed = Number(q.get("from")) > 0 && Number(q.get("to")) > Number(q.get("from"));
  const [from, to] = fixed ? [Number(q.get("from")), Number(q.get("to"))] : lately(RANGES[range]);
  const go = (s, r, bounds) => {
    const next = new URLSearchParams(r ? { s: s.join(","), r } : { s: s.join(","), from: bounds[0], to: bounds[1] });
    history.replaceState(null, "", `#/charts?${next.toString().replaceAll("%2C", ",").replaceAll("%2F", "/")}`);
    window.dispatchEvent(new HashChangeEvent("hashchange"));
  };
  const zoom = (a, b) => go(names, null, b - a < SHORTEST ? [a, a + SHORTEST] : [a, Math.min(b, Math.round(now()))]);
  const by = (factor, shift) => {
    const half = ((to - from) * factor) / 2, middle = (from + to) / 2 + (to - from) * shift;
    zoom(Math.round(middle - half), Math.round(middle + half));
  };
  const keep = () => (fixed ? [null, [from, to]] : [range]);
  const button = (word, sign, act) => h("button", { type: "button", "aria-label": t(word), title: t(word), onclick: act }, sign);
  return h("div", {}, h("h1", { tabindex: "-1" }, t("nav.charts")),
    names.map((n) => h("span", { class: "chip", key: n }, nameOf(find(n)), " ", h("button", { type: "button",
      "aria-label": t("chart.remove", { name: nameOf(find(n)) }), onclick: () => go(names.filter((o) => o !== n), ...keep()) }, "✕"))),
    names.length < SERIES_MAX && h("label", { class: "pick" }, t(names.length ? "chart.add" : "chart.pick"),
      h("select", { onchange: (e) => {
        const picked = e.currentTarget.value;
        e.currentTarget.value = "";
        if (picked) go([...names, picked], ...keep());
      } }, h("option", { value: "" }, t("chart.choose")), state.status.devices.map((d) => h("optgroup", { label: deviceName(d) },
        state.points.filter((p) => p.device === d.id && !names.includes(seriesOf(p))).map((p) =>
          h("option", { value: seriesOf(p), key: seriesOf(p) }, pointName(p))))))),
    names.length > 0 && h("div", { class: "ranges", role: "group", "aria-label": t("chart.range") }, Object.keys(RANGES).map((r) =>
      h("button", { type: "button", "aria-pressed": String(!fixed && r === range), onclick: () => go(names, r) }, t(`range.${r}`)))),
    names.length > 0 && h("div", { class: "ranges" }, button("chart.earlier", "◀", () => by(1, -0.5)), button("chart.closer", "+", () => by(0.5, 0)),
      button("chart.wider", "−", () => by(2, 0)), button("chart.later", "▶", () => by(1, 0.5)),
      h("span", { class: "quiet bounds" }, `${full(from).slice(0, 16)} – ${full(to).slice(0, 16)}`)),
    names.length ? pictures("charts", names, from, to, zoom) : h("p", {}, t("chart.none")));
}
