// Why this number: all that stands behind one value, for a technician, and on paper for a citizen.
import { h } from "./dom.js";
import { ask, now, state } from "./state.js";
import { calibration, deviceAddress, deviceFull, deviceName, deviceOf, facts, freshness, pointName, qualityText, section, seriesOf, value, valueText } from "./parts.js";
import { find, lately, pictures } from "./charts.js";
import { past } from "./past.js";
import { place, profileFacts, reading, words } from "./raw.js";
import { full, number, since, span, t, unitText } from "./words.js";

const DAY = 86400e3, EVERY_MS = 2000;

const plainly = (p, stale) => h(stale ? "s" : "span", { class: "figure" }, `${valueText(p)} ${unitText(p.unit)}`);

const path = (raw, p, stale) => section(t("why.path"), facts([
  [t("raw.where"), raw && place(raw)], [t("raw.registers"), raw && h("span", { class: "registers" }, words(raw))],
  [t("raw.read"), raw && reading(raw)], [t("why.value"), plainly(p, stale)]]));

const humidity = (x, stale) => x && [t("why.humidity"), [plainly(x, stale),
  x.t_ms && ` (${since(x.t_ms, now())})`, h("br"), h("span", { class: "quiet" }, t("why.humidity_matters"))]];

function sealed(b, last) {
  const is = b ?? last;
  if (!is) return h("p", {}, t("why.no_batch"));
  return [!b && h("p", {}, t("why.waits")), facts([[t(b ? "why.batch" : "why.last_batch"), t("why.batch_number", { n: number(is.seq), chain: is.chain })],
    [t("why.window"), `${full(is.from_ms)} – ${since(is.to_ms, is.from_ms)}`], [t("why.readings"), number(is.readings)],
    ...is.uplinks.map((u) => [t("why.receipt", { id: u.id }), t(u.acknowledged ? "why.receipt_yes" : "why.receipt_no")]),
    [t("why.hash"), h("span", { class: "registers" }, is.sha256)]])];
}

export function why(at) {
  const series = find(at.rest);
  if (!series) return h("div", {}, h("h1", { tabindex: "-1" }, t("why.title")), h("p", {}, t("why.gone", { id: at.rest })));
  if (at.query.get("at")) return past(series, at.query);
  const d = deviceOf(series.device), name = seriesOf(series), site = state.status.site;
  const { data: w, error, heard } = ask(`why?series=${encodeURIComponent(name)}`, EVERY_MS);
  const p = w ? { ...w.point, heard } : series, { stale, text } = freshness(p); // one reading, all through the page
  return h("div", {}, h("h1", { tabindex: "-1" }, pointName(p)),
    h("p", {}, h("a", { class: "go", href: `#/device/${d.id}` }, deviceFull(d))),
    h("div", { class: `big ${stale ? "stale" : ""}` }, value(p, stale), h("p", { class: "age" }, text)),
    h("h2", {}, t("why.title")),
    facts([[t("why.quality"), qualityText(p)], [t("why.measured"), p.t_ms ? full(p.t_ms) : null], [t("why.every"), p.period_ms ? span(p.period_ms) : t("device.by_itself")],
      [t("device.place"), d.place], [t("device.serial"), d.serial], [t("why.calibration"), w && calibration(w.calibration)], w && humidity(w.humidity, stale),
      [t("device.model"), d.model], [t("device.address"), deviceAddress(d)], [t("why.series"), name]]),
    error && !w && h("p", { class: "quiet" }, t("page.failed", { why: error.message })),
    w?.point.raw && path(w.point.raw, w.point, stale),
    w && section(t("why.seal"), sealed(w.batch, w.last_batch), h("p", { class: "quiet" }, t("why.seal_says"))),
    w?.profile && section(t("why.profile"), facts(profileFacts(w.profile))),
    section(t("device.chart"), pictures("why", [name], ...lately(DAY), (a, b) => { location.hash = `#/charts?s=${name}&from=${a}&to=${b}`; })),
    h("p", {}, h("button", { type: "button", class: "main", onclick: () => window.print() }, t("why.print"))),
    h("p", { class: "printed" }, t("why.printed", { time: full(now()), site: site.name || site.id, device: deviceName(d) })));
}
