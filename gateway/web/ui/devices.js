// Buses and devices: who answers, how fast, what it measured last; and one device with all it has.
import { h } from "./dom.js";
import { call, Refusal } from "./api.js";
import { profileFacts, registers } from "./raw.js";
import { ask, state } from "./state.js";
import { deviceAddress, deviceBadge, deviceName, deviceOf, devicePlace, english, facts, loading, pointRow, pointsOf, pointName, section,
  seriesOf, unitsSaid } from "./parts.js";
import { lately, pictures } from "./charts.js";
import { full, number, span, t } from "./words.js";

const FIRST = 4, MANY = 8, EVERY_MS = 5000, DAY = 86400e3;
let sought = "", drawn = "";

// Without marks, so that "tram khi" finds "Trạm khí".
const plain = (s) => s.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().replace(/đ/g, "d");
const matches = (d) => plain([d.id, d.name, d.place, d.serial, d.model, d.address].filter(Boolean).join(" ")).includes(plain(sought));

const serial = (d) => d.serial && t("device.serial_of", { serial: d.serial });
const identity = (d) => [devicePlace(d), d.name && d.id, serial(d), deviceAddress(d)].filter(Boolean).join(" · ");

export function card(d) {
  const points = pointsOf(d.id);
  return h("article", { key: d.id, class: "card", id: `device-${d.id}` },
    h("a", { href: `#/device/${d.id}`, class: "head" }, h("span", { class: "names" }, h("h3", {}, deviceName(d)),
      h("span", { class: "quiet" }, identity(d))), deviceBadge(d)),
    h("ul", { class: "points" }, points.slice(0, FIRST).map(pointRow)),
    points.length > FIRST && h("p", { class: "more" }, h("a", { href: `#/device/${d.id}`, class: "go" },
      t("device.more_points", { n: number(points.length - FIRST) }))));
}

// What the line doctor says, the weightiest first; in its own words below.
const finding = (f) => h("div", { class: `banner ${f.note ? "wait" : "look"}`, key: f.code }, h("p", {}, h("b", {}, t(`finding.${f.code}`)), ` ${unitsSaid(f.devices)}`),
  h("details", {}, h("summary", {}, t("device.evidence")), h("p", {}, english(`${f.fault} ${f.also} ${f.advice} (${f.seen})`))));

const OWN = { connectivity: "bus.connectivity", indicator: "bus.indicator" }; // what is no bus
const busName = (b) => (OWN[b.id] ? t(OWN[b.id]) : t("bus.name", { id: b.id }));

// In one line: who answers, how busy, what was lost.
function busLine(b) {
  const own = state.status.devices.filter((d) => d.bus === b.id), sum = (k) => b[k] ?? own.reduce((n, d) => n + d[k], 0);
  const lost = sum("lost_ms"), missed = sum("overruns"), ticks = sum("ticks"), load = b.planned_load ?? null;
  return h("p", { class: "busline" }, [b.line && h("span", {}, b.line), h("span", {}, t("bus.answer", { n: number(b.answering), all: number(b.devices) })),
    load !== null && h("span", { class: load > 1 ? "wrong" : null }, t("bus.load", { n: number(load * 100, load < 0.1 ? 1 : 0) })),
    lost > 0 && h("span", {}, t("bus.lost_time", { time: span(lost) })), missed > 0 && h("span", { class: "wrong" }, t("bus.missed", { n: number(missed), all: number(ticks) }))]);
}

function bus(b) {
  const own = state.status.devices.filter((d) => d.bus === b.id && matches(d));
  if (!own.length) return null;
  return h("section", { key: `bus ${b.id}`, "aria-labelledby": `bus-${b.id}` }, h("h2", { id: `bus-${b.id}` }, busName(b)),
    busLine(b), b.findings.map(finding), h("div", { class: "cards" }, own.map(card)));
}

export function devices(at, draw) {
  const { buses, devices: all } = state.status, shown = buses.map(bus).filter(Boolean);
  return h("div", {}, h("h1", { tabindex: "-1" }, t("nav.devices")),
    all.length > MANY && h("label", { class: "pick" }, t("device.seek"), h("input", { type: "search", autocomplete: "off", oninput: (e) => {
      sought = e.currentTarget.value;
      draw();
    } })),
    !all.length && h("p", {}, t("device.none")), all.length > 0 && !shown.length && h("p", { role: "status" }, t("device.not_found")), shown);
}

// ---- ask it now --------------------------------------------------------------------------------

const asked = new Map(); // device: what became of the last question
const unitOf = (d) => /unit (\d+)$/.exec(d.address ?? "")?.[1];
const may = () => ["technician", "administrator"].includes(state.session.role);

async function probe(d, draw) {
  asked.set(d.id, t("probe.asking"));
  draw();
  try {
    await call("POST", `buses/${encodeURIComponent(d.bus)}/units/${unitOf(d)}/probe`);
    asked.set(d.id, t("probe.asked"));
  } catch (e) {
    asked.set(d.id, e instanceof Refusal ? t("probe.refused", { why: e.message }) : t("door.unreachable"));
  }
  draw();
}

// For one that does not answer and so is asked seldom: now, not when its pause is over.
const probing = (d, draw) => may() && unitOf(d) !== undefined && ["silent", "faulty"].includes(d.state) && h("p", { class: "probe" },
  h("button", { type: "button", onclick: () => void probe(d, draw) }, t("probe.now")), h("span", { role: "status" }, asked.get(d.id)));

// ---- one device ------------------------------------------------------------------------------

function heard(d) {
  const a = d.heard;
  if (!a || !a.asked) return null;
  const bad = ["silent", "late", "damaged", "refused", "foreign", "overlapped", "beside"].filter((k) => a[k] > 0);
  return [t("device.heard", { good: number(a.good), asked: number(a.asked) }), bad.map((k) => [h("br"), t(`heard.${k}`, { n: number(a[k]) })])];
}

const answers = (d) => (d.heard?.good ? t("device.between", { min: number(d.heard.answer_min_ms), max: number(d.heard.answer_max_ms),
  last: number(d.answer_ms) }) : d.answer_ms ? t("device.ms", { n: number(d.answer_ms) }) : null);

const about = (d) => facts([[t("device.place"), d.place], [t("device.serial"), d.serial], [t("device.id"), d.id],
  [t("device.model"), d.model], [t("device.bus"), OWN[d.bus] ? null : d.bus], [t("device.address"), deviceAddress(d)],
  [t("device.every"), d.period_ms ? span(d.period_ms) : t("device.by_itself")], [t("device.answer"), answers(d)], [t("device.heard_title"), heard(d)],
  [t("device.polls"), t("device.failed", { n: number(d.failures), all: number(d.polls) })],
  [t("bus.lost"), d.lost_ms ? span(d.lost_ms) : t("bus.nothing")], d.says && [t("device.says"), english(d.says)]]);

// What the operator sent to the SIM card: it says best why there is no data. Not for viewers.
export function messages(d) {
  if (d.model !== "modem" || d.id !== "modem" || !may()) return false;
  const { data } = ask("messages", EVERY_MS);
  return section(t("sms.title"), data?.card && h("p", {}, t("sms.card", { digits: data.card })), !data ? loading() : !data.messages.length ? h("p", { class: "quiet" }, t("sms.none"))
    : h("ul", { class: "list", id: "messages" }, data.messages.map((m) => h("li", { class: "event" }, h("p", { class: "when" }, m.at_ms ? full(m.at_ms) : ""),
      h("p", {}, h("b", {}, m.from)), h("p", {}, m.text)))), h("p", { class: "quiet" }, t("sms.here")));
}

export function device(at, draw) {
  const d = deviceOf(at.rest);
  if (!d) return h("div", {}, h("h1", { tabindex: "-1" }, t("nav.devices")), h("p", {}, t("device.gone", { id: at.rest })));
  const { data: more } = ask(`devices/${encodeURIComponent(d.id)}`, EVERY_MS);
  const points = pointsOf(d.id), names = points.map(seriesOf), series = names.includes(drawn) ? drawn : names[0];
  return h("div", {}, h("h1", { tabindex: "-1" }, deviceName(d)), h("p", { class: "quiet" }, identity(d)),
    h("p", {}, deviceBadge(d)), probing(d, draw), d.text && h("div", { class: "banner look" }, h("p", {}, english(d.text))),
    h("ul", { class: "points card", id: `device-${d.id}` }, points.map(pointRow)),
    series && section(t("device.chart"), h("label", { class: "pick" }, t("chart.pick"), h("select", { onchange: (e) => {
      drawn = e.currentTarget.value;
      draw();
    } }, points.map((p) => h("option", { key: seriesOf(p), value: seriesOf(p), selected: seriesOf(p) === series }, pointName(p))))),
    pictures("device", [series], ...lately(DAY), (a, b) => { location.hash = `#/charts?s=${series}&from=${a}&to=${b}`; }),
    h("p", {}, h("a", { class: "go", href: `#/charts?s=${series}` }, t("chart.open")))),
    messages(d), section(t("device.about"), about(d)), more?.profile && section(t("raw.profile"), facts(profileFacts(more.profile)), registers(more.points, pointName)));
}
