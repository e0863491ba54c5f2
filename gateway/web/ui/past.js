// Why this number of the past: what the gateway and the sealed batch can prove, and what is not kept.
import { h } from "./dom.js";
import { ask, now, state } from "./state.js";
import { calibration, deviceFull, deviceName, deviceOf, facts, flagsSaid, pointName, section, seriesOf } from "./parts.js";
import { profileFacts } from "./raw.js";
import { full, number, since, span, t, unitText } from "./words.js";

const BOOT_MS = 268435456e3, KNOWN_MS = 2 * BOOT_MS; // earlier times count from the machine's start

const when = (ms) => (ms < KNOWN_MS ? t("past.no_clock", { span: span(ms - BOOT_MS) }) : full(ms));
// A value is shown as it is, with all of its digits: it is what was signed.
const exact = (v, w) => `${number(v, 20, w.unit === null ? 0 : w.decimals)} ${unitText(w.unit)}`;

function correction(c) {
  if (!c.held) return h("li", {}, t("past.gone", { n: number(c.seq) }));
  const what = t(`change.${c.change}`, { scale: c.scale === null ? "" : number(c.scale, 20, 0),
    offset: c.offset === null ? "" : number(c.offset, 20, 0), target: c.target ?? "" });
  return h("li", {}, h("b", {}, what), " ", t("past.who", { author: c.author, reason: c.reason }), " ",
    h("span", { class: "quiet" }, t("past.said_in", { n: number(c.seq) })));
}

function sealed(b) {
  if (!b) return h("p", {}, t("why.waits"));
  return facts([[t("why.batch"), t("why.batch_number", { n: number(b.seq), chain: b.chain })],
    [t("why.window"), `${full(b.from_ms)} – ${since(b.to_ms, b.from_ms)}`], [t("why.readings"), number(b.readings)],
    ...b.uplinks.map((u) => [t("why.receipt", { id: u.id }), u.receipt_ms ? t("past.receipt_at", { time: full(u.receipt_ms) })
      : t(u.acknowledged ? "why.receipt_yes" : "why.receipt_no")]),
    [t("why.hash"), h("span", { class: "registers" }, b.sha256)]]);
}

function found(w, d) {
  const r = w.reading;
  return [
    h("div", { class: "big" }, h("span", { class: "value" }, h(r.state === "taken_back" ? "s" : "span", { class: "figure" },
      exact(r.value ?? r.value_read, w))), h("p", { class: "age" }, when(r.t_ms))),
    h("h2", {}, t("why.title")),
    facts([[t("past.state"), t(`reading.${r.state}`)], [t("past.read"), exact(r.value_read, w)],
      r.state === "corrected" && [t("past.now"), exact(r.value, w)], r.series_read !== r.series && [t("past.series_read"), r.series_read],
      [t("why.quality"), flagsSaid(r.q)], [t("why.measured"), when(r.t_ms)],
      r.t_read_ms !== r.t_ms && [t("past.time_read"), when(r.t_read_ms)],
      r.t_error_ms !== null && [t("quality.128"), t("past.time_error", { span: span(r.t_error_ms) })],
      [t("device.place"), d.place], [t("device.serial"), w.serial && [w.serial, " ", h("span", { class: "quiet" },
        t(w.serial_noted ? "past.serial_noted" : "past.serial_now"))]],
      [t("why.calibration"), calibration(w.calibration)],
      [t("why.series"), r.series]]),
    section(t("past.corrections"), w.corrections.length ? h("ul", { class: "corrections" }, w.corrections.map(correction))
      : h("p", {}, t("past.no_corrections")), w.corrections_cut && h("p", { class: "quiet" }, t("past.more"))),
    section(t("why.seal"), sealed(w.batch), h("p", { class: "quiet" }, t("why.seal_says"))),
  ];
}

const nothing = (w) => [h("p", {}, t(w.cut ? "past.cut" : "past.none")), !w.cut && w.held_from_ms && h("p", {}, t("past.none_from", { time: full(w.held_from_ms) }))];

export function past(series, query) {
  const d = deviceOf(series.device), name = seriesOf(series), site = state.status.site, at = Number(query.get("at"));
  const { data: w, error } = ask(`why/past?${new URLSearchParams({ series: name, at, within_ms: Number(query.get("within")) || 900000 })}`, 60e3);
  return h("div", {}, h("h1", { tabindex: "-1" }, pointName(series)),
    h("p", {}, h("a", { class: "go", href: `#/device/${d.id}` }, deviceFull(d))),
    h("p", { class: "quiet" }, `${t("past.asked")}: ${full(at)}. ${t("past.nearest")}`),
    !w && h("p", { class: "quiet", role: "status" }, error ? t("page.failed", { why: error.message }) : t("page.reading")),
    w && (w.reading ? found(w, d) : nothing(w)),
    w?.profile && section(t("why.profile"), facts(profileFacts(w.profile))),
    w && section(t("past.not_kept"), h("p", {}, t("past.not_kept_says"))),
    h("p", {}, h("a", { class: "go", href: `#/why/${name}` }, t("past.current"))),
    h("p", {}, h("button", { type: "button", class: "main", onclick: () => window.print() }, t("why.print"))),
    h("p", { class: "printed" }, t("why.printed", { time: full(now()), site: site.name || site.id, device: deviceName(d) })));
}
