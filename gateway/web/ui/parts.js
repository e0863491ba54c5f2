// What several screens show in the same way: a device's name, a value with unit, age and quality.
import { h } from "./dom.js";
import { ageOf, state } from "./state.js";
import { full, has, language, number, span, t, unitText } from "./words.js";

export const STALE_PERIODS = 3;
const LONG = 12, DOUBT = 1 | 2 | 4;
const FLAGS = [1, 2, 4, 8, 16, 32, 64, 128];
export const LEVELS = { good: "good", late: "look", never: "wait", silent: "act", faulty: "act" };
const MARKS = { good: "✓", look: "!", act: "✕", wait: "…" };

export const deviceOf = (id) => state.status.devices.find((d) => d.id === id);
export const deviceName = (d) => d.name || d.id;
export const devicePlace = (d) => (d.place && !deviceName(d).includes(d.place) ? d.place : null);
// "rs485-1 unit 7", as the gateway writes it, in the reader's words.
export const unitsSaid = (text) => text.replace(/\bunit (\d+)\b/g, (_, n) => t("device.unit", { n }));
// Of an indicator it is its label: what its figures prove.
export const deviceAddress = (d) => d.bus === "indicator" && d.address ? t(`figure.${d.address}`) : d.address && unitsSaid(d.address.replace(/ (?=unit \d+$)/, ", "));
export const deviceFull = (d) => [deviceName(d), devicePlace(d)].filter(Boolean).join(", ");
export const pointsOf = (id) => state.points.filter((p) => p.device === id);
export const seriesOf = (p) => `${p.device}/${p.point}`;

// A number that stands for a word: a state, a technology, an operator.
const coded = (p) => has(`value.${p.quantity}.${p.value}`);

// The quantity's label; with the point's own name where a device has two of them.
export function pointName(p) {
  const label = (state.labels[p.quantity]?.[language] ?? p.point).replace(coded(p) ? / \([^)]*\)$/ : "", ""); // it is no number here
  const twins = pointsOf(p.device).filter((o) => o.quantity === p.quantity).length > 1;
  return twins || p.quantity === "number" ? `${label} (${p.point})` : label;
}

export const flagsSaid = (q) => FLAGS.filter((f) => q & f).map((f) => t(`quality.${f}`)).join(", ") || t("quality.good");
export function qualityText(p) {
  if (p.missing) return t(`cause.${p.missing}`);
  if (p.value === null) return t("quality.none");
  return flagsSaid(p.q);
}

export function valueText(p) {
  if (p.value === null) return "–";
  if (coded(p)) return t(`value.${p.quantity}.${p.value}`);
  // A bare number may be a count: no decimals that it does not have.
  return number(p.value, p.decimals, p.unit === null ? 0 : p.decimals);
}

// While the gateway does not answer, nothing that it said counts as fresh.
export function freshness(p) {
  if (p.value === null) return { stale: false, text: "" };
  const age = ageOf(p), stale = state.lost_ms > 0 ||
    (p.period_ms > 0 && age > STALE_PERIODS * p.period_ms);
  return { stale, text: t(stale ? "age.stale" : "age.fresh", { age: span(age) }) };
}

export function value(p, stale) {
  const unit = p.value === null ? "" : unitText(p.unit);
  return h("span", { class: `value ${valueText(p).length > LONG ? "long" : ""}` }, h(stale ? "s" : "span", { class: "figure" }, valueText(p)),
    unit && " ", unit && h("span", { class: "unit" }, unit));
}

// One point in a list: what, how much, how sure, how old; it leads to why.
export function pointRow(p) {
  const { stale, text } = freshness(p), doubt = p.missing ? "off" : (p.q ?? 0) & DOUBT ? "doubt" : "";
  return h("li", { key: seriesOf(p), class: `point ${stale ? "stale" : ""} ${doubt}`, "data-series": seriesOf(p) },
    h("a", { href: `#/why/${seriesOf(p)}`, class: "row" },
      h("span", { class: "name" }, pointName(p)), value(p, stale),
      h("span", { class: "quality" }, qualityText(p)), h("span", { class: "age" }, text)));
}

// While the gateway does not answer, nobody knows whether it is still good.
export function badge(said, text) {
  const doubt = said === "good" && state.lost_ms > 0, level = doubt ? "wait" : said;
  return h("span", { class: `badge ${level}` }, h("span", { "aria-hidden": "true" }, MARKS[level], " "), doubt ? t("state.was", { state: text }) : text);
}
export const deviceBadge = (d) => badge(LEVELS[d.state], t(`state.${d.state}`));

// [word, what, more about it]; a fact of nothing is left out.
export const facts = (list) => h("dl", { class: "facts" }, list.filter((f) => f && f[1] !== null).map(
  ([name, ...what]) => h("div", {}, h("dt", {}, name), h("dd", {}, what))));

export const calibration = (c) => (c ? [full(c.from_ms), " – ", c.to_ms ? full(c.to_ms) : t("why.still")] : t("why.never_noted"));
export const section = (title, ...kids) => h("section", {}, h("h2", {}, title), kids);
export const english = (text) => text && h("span", { lang: "en", class: "own-words" }, text);
export const whatHappened = (code) => (has(`event.${code}`) ? t(`event.${code}`) : null);
export const loading = () => h("p", { class: "quiet", role: "status" }, t("page.reading"));
