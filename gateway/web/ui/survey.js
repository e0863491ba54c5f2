// Where in the ward which operator's 5G was measured: a map of cells and samples, what comes out for each
// operator and day, and the phone that may lead the walk.
import { h } from "./dom.js";
import { ask, now, state } from "./state.js";
import { badge, deviceOf, english, facts, loading, pointRow, pointsOf, section } from "./parts.js";
import { legend, map, modelOf } from "./survey_map.js";
import { here } from "./survey_here.js";
import { clock, full, has, number, t } from "./words.js";

const DAY = 86400e3, ZONE_MS = 7 * 3600e3, PERIODS = { day: 1, month: 31, year: 366 }; // year: as the API takes it
const TODAY_MS = 30e3, LONG_MS = 600e3, PATIENCE_MS = 90e3, ROWS = 100;
let chosen = null; // the sample that is shown, of `model`
let zoom = 1;

const operatorName = (plmn) => (has(`value.radio_operator.${plmn}`) ? t(`value.radio_operator.${plmn}`) : plmn);
const dateName = (date) => date.split("-").reverse().join("/");
const dbm = (v) => (v === undefined ? "–" : `${number(v, 1, 0)} dBm`);

// Whole days of the site, up to the end of this one: so an answer is used for a while.
function bounds(period) {
  const to = Math.ceil((now() + ZONE_MS) / DAY) * DAY - ZONE_MS;
  return `survey.geojson?from=${to - PERIODS[period] * DAY}&to=${to}`;
}

function go(next) {
  chosen = null;
  history.replaceState(null, "", `#/survey?${new URLSearchParams(next)}`);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}

// ---- the result of one operator on one day ------------------------------------------------------

// A share is told where the gateway tells one, and nowhere else.
function sentence(p, of) {
  const who = { operator: operatorName(p.operator), date: dateName(p.date), covered: number(p.covered), visited: number(p.visited), all: number(p.all) };
  const need = Math.ceil((p.all * of.visited_min_percent) / 100);
  return h("div", { class: `banner ${p.covered_percent === undefined ? "wait" : "good"}`, id: "result" },
    h("p", { class: "sentence" }, p.covered_percent === undefined ? t("survey.few", who)
      : t("survey.share", { ...who, percent: number(p.covered_percent, 1), part: number(p.visited_percent, 1) })),
    h("p", {}, p.covered_percent === undefined ? t("survey.few_why", { visited: number(p.visited), need: number(need), all: number(p.all) })
      : t("survey.rule", { dbm: number(of.covered_dbm) })),
    p.idle > 0 && h("p", {}, t("survey.idle", { n: number(p.idle) })));
}

const sampleFacts = (s) => facts([[t("survey.time"), full(s.t_ms)], [t("survey.operator"), operatorName(s.operator)], [t("survey.technology"), t(`survey_tech.${s.technology}`)],
  [t("survey.rsrp"), dbm(s.rsrp)], [t("survey.verdict"), t(`survey_is.${s.state.replaceAll(" ", "_")}`)],
  [t("survey.position"), [`${number(s.lat, 5)}, ${number(s.lon, 5)}`, s.error_m !== undefined && ` ± ${number(s.error_m)} m`, h("br"), t(`survey_by.${s.position ?? "import"}`)]]]);

// The chosen sample, or the middle, into the middle of what is seen; the page itself stays where it is.
function reveal(m) {
  const part = document.querySelector(".scroll"), all = document.getElementById("map").getBoundingClientRect(), [left, top, wide, tall] = m.box;
  const { x, y } = chosen ?? { x: left + wide / 2, y: top + tall / 2 };
  part.scrollTo(((x - left) / wide) * all.width - part.clientWidth / 2, ((y - top) / tall) * all.height - part.clientHeight / 2);
}

// Each sample, one after the other: for those who cannot point at one.
function steps(m, draw) {
  const step = (by) => () => {
    chosen = m.samples[((m.samples.indexOf(chosen) + (chosen || by > 0 ? by : 0)) + m.samples.length) % m.samples.length];
    draw();
    reveal(m);
  };
  const button = (id, word, sign, act) => h("button", { type: "button", id, "aria-label": t(word), title: t(word), onclick: act }, sign);
  const closer = (by) => () => {
    zoom = Math.min(8, Math.max(1, zoom * by));
    draw();
    reveal(m);
  };
  return h("div", { class: "ranges" }, button("closer", "survey.closer", "+", closer(2)), button("wider", "survey.wider", "−", closer(0.5)),
    m.samples.length > 0 && [button("before", "survey.before", "◀", step(-1)), button("next", "survey.next", "▶", step(1))],
    h("span", { class: "quiet" }, m.samples.length ? t("survey.tap") : t("survey.no_samples")));
}

// A table may be wider than a phone: then it is moved by keys, too.
const wide = (label, ...kids) => h("div", { class: "wide", role: "region", tabindex: "0", "aria-label": label }, h("table", {}, kids));

function list(m) {
  if (!m.samples.length) return null;
  const columns = ["time", "technology", "rsrp", "verdict", "position"];
  return h("details", {}, h("summary", {}, t("survey.samples_of", { n: number(m.samples.length) })), wide(t("survey.samples"),
    h("thead", {}, h("tr", {}, columns.map((c) => h("th", { scope: "col" }, t(`survey.${c}`))))),
    h("tbody", {}, m.samples.slice(0, ROWS).map((s) => h("tr", {}, h("th", { scope: "row" }, clock(s.t_ms)), h("td", {}, t(`survey_tech.${s.technology}`)),
      h("td", {}, dbm(s.rsrp)), h("td", {}, t(`survey_is.${s.state.replaceAll(" ", "_")}`)), h("td", {}, t(`survey_by.${s.position ?? "import"}`)))))),
  m.samples.length > ROWS && h("p", { class: "quiet" }, t("survey.rows_cut", { n: number(ROWS) })));
}

function shown(data, p, draw) {
  const m = modelOf(data, p);
  if (chosen && !m.samples.includes(chosen)) chosen = m.samples.find((s) => s.t_ms === chosen.t_ms) ?? null;
  const pick = (s) => {
    chosen = s;
    draw();
  };
  return [p && sentence(p, data.survey),
    h("div", { class: "beside" },
      h("figure", { class: "map" }, map(m, { zoom, chosen, pick, label: t("survey.map_says", p ? { operator: operatorName(p.operator), date: dateName(p.date),
        covered: number(p.covered), visited: number(p.visited), all: number(p.all), n: number(m.samples.length) } : { operator: "–", date: "–", covered: 0, visited: 0, all: number(m.cells), n: 0 }) }),
      h("figcaption", {}, legend(m, zoom))),
      h("div", {}, steps(m, draw), h("div", { id: "sample", role: "status" }, chosen ? sampleFacts(chosen) : null))), list(m)];
}

// ---- all of them ---------------------------------------------------------------------------------

function table(parts, link) {
  const columns = ["operator", "date", "covered", "visited", "cells", "samples", "percent"];
  return section(t("survey.all"), h("div", { id: "parts" }, wide(t("survey.all"), h("thead", {}, h("tr", {}, columns.map((c) => h("th", { scope: "col" }, t(`survey.${c}`))))),
    h("tbody", {}, parts.map((p) => h("tr", { key: `${p.operator}/${p.date}` }, h("th", { scope: "row" }, h("a", { class: "go", href: link(p) }, operatorName(p.operator))), h("td", {}, dateName(p.date)),
      [p.covered, p.visited, p.all, p.samples].map((n) => h("td", {}, number(n))),
      h("td", {}, p.covered_percent === undefined ? t("survey.none_told") : `${number(p.covered_percent, 1)} %`)))))));
}

function choice(parts, period, at, draw) {
  const operators = [...new Set(parts.map((p) => p.operator))], newest = [...parts].sort((a, b) => (a.date < b.date ? 1 : a.date > b.date ? -1 : b.samples - a.samples))[0];
  const wanted = operators.includes(at.query.get("o")) ? at.query.get("o") : newest?.operator;
  const dates = parts.filter((p) => p.operator === wanted).map((p) => p.date).sort().reverse();
  const date = dates.includes(at.query.get("d")) ? at.query.get("d") : dates[0];
  const pressed = (is, word, next) => h("button", { type: "button", "aria-pressed": String(is), onclick: () => go(next) }, word);
  const p = parts.find((x) => x.operator === wanted && x.date === date) ?? null;
  return { p, controls: [
    h("div", { class: "ranges", role: "group", "aria-label": t("survey.period") }, Object.keys(PERIODS).map((k) => pressed(k === period, t(`survey_period.${k}`), { p: k }))),
    operators.length > 0 && h("div", { class: "ranges", role: "group", "aria-label": t("survey.operator") }, operators.map((o) => pressed(o === wanted, operatorName(o), { p: period, o }))),
    dates.length > 0 && h("label", { class: "pick" }, t("survey.date"), h("select", { key: `${period}/${wanted}/${dates.length}`, id: "date", onchange: (e) => go({ p: period, o: wanted, d: e.currentTarget.value }) },
      dates.map((d) => h("option", { value: d, key: d, selected: d === date }, dateName(d)))))] };
}

function result(at, draw) {
  const period = PERIODS[at.query.get("p")] ? at.query.get("p") : "month", path = bounds(period);
  const { data, error } = ask(path, period === "day" ? TODAY_MS : LONG_MS, PATIENCE_MS), parts = data?.survey.parts ?? [];
  const { p, controls } = choice(parts, period, at, draw);
  return [controls, !data && !error && loading(),
    error && !data && h("p", { class: "wrong", role: "alert" }, t("survey.failed"), " ", english(error.message)),
    data && !parts.length && h("p", { class: "banner wait" }, t("survey.empty")),
    data && shown(data, p, draw),
    parts.length > 0 && table(parts, (x) => `#/survey?${new URLSearchParams({ p: period, o: x.operator, d: x.date })}`),
    data && h("p", {}, h("a", { class: "go", download: "", href: `/api/v1/${path}` }, t("survey.download")))];
}

// How the walk goes, where this gateway is one that is carried.
function walk(draw) {
  const d = deviceOf("survey");
  if (!d) return null;
  const points = pointsOf("survey").filter((p) => ["state", "source", "error"].includes(p.point));
  return section(t("survey.walk"), d.text && h("p", { class: "banner look" }, english(d.text)), !d.text && d.state === "good" && h("p", {}, badge("good", t("state.good"))),
    h("ul", { class: "points card" }, points.map(pointRow)), here(draw));
}

export function survey(at, draw) {
  const { area } = state.status.survey;
  return h("div", {}, h("h1", { tabindex: "-1" }, t("survey.title")), walk(draw), area ? result(at, draw) : h("p", {}, t("survey.no_area")));
}
