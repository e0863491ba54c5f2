// What the city has, what still waits for it, and what it never gets.
import { h } from "./dom.js";
import { ask, now, state } from "./state.js";
import { english, facts, loading, section } from "./parts.js";
import { linkOf, receipt } from "./overview.js";
import { bytes, day, full, has, number, since, t } from "./words.js";

const EVERY_MS = 5000;

const budget = (d) => [[t("city.data_month"), d.budget_bytes ? t("city.data_of", { n: bytes(d.month_bytes), total: bytes(d.budget_bytes) }) : bytes(d.month_bytes)],
  d.budget_bytes && [t("city.data_left"), bytes(d.left_bytes)], d.renews_ms && [t("city.data_renews"), day(d.renews_ms)],
  [t("city.metered"), t(d.metered ? "city.metered_yes" : "city.metered_no")], [t("city.wire"), bytes(d.wire_bytes)]];

const certificate = (c) => c && [t("city.certificate"), [t("city.certificate_ends", { date: day(c.ends_ms), n: number(c.days_left) }),
  c.text && [h("br"), english(c.text)]]];
const trust = (k) => k && [t("city.trust"), [k.notice > 0 && t("city.notice", { n: number(k.notice) }), k.ends_ms && ` ${t("city.until", { date: day(k.ends_ms) })}`,
  k.text && [h("br"), english(k.text)]]];

// The sentence that one comes for: the city has so many of so many.
function today(u) {
  if (!u.today) return h("p", { class: "banner wait" }, t("city.today_unknown"));
  const { readings: all, readings_acknowledged: n } = u.today;
  if (!all) return h("p", { class: "banner wait" }, t("city.today_none"));
  return h("div", { class: `banner ${n === all && !state.lost_ms ? "good" : u.text ? "look" : "wait"}` }, h("p", { class: "sentence" }, t("city.today", { n: number(n), all: number(all) })),
    h("p", {}, n === all ? t("city.today_whole") : t("city.today_wait", { n: number(all - n) })));
}

const receipts = (list) => h("details", {}, h("summary", {}, t("city.receipts", { n: number(list.length) })),
  h("ol", { class: "list" }, list.map((r) => h("li", { key: `${r.chain}/${r.seq}`, class: "event" }, h("p", { class: "when" }, since(r.at_ms, now())),
    h("p", {}, t(`city.receipt_${r.kind}`, { seq: number(r.seq), n: number(r.readings) })),
    h("p", { class: "quiet" }, `${full(r.from_ms)} – ${since(r.to_ms, r.from_ms)}`)))));

function uplink(u) {
  const whole = u.receipts !== undefined;
  return h("section", { key: u.id }, h("h2", {}, t("city.uplink", { id: u.id })), whole && today(u),
    facts([[t("city.link"), [linkOf(u), u.text && [h("br"), english(u.text)]]], [t("city.last_receipt"), receipt(u)], [t("city.last_ok"), u.last_ok_ms ? full(u.last_ok_ms) : t("city.never")],
      whole && [t("city.unsent"), u.unsent ? t("city.unsent_of", { batches: number(u.unsent.batches), readings: number(u.unsent.readings) }) : t("keep.unknown")],
      ...budget(u.data), certificate(u.certificate), trust(u.trust)]), whole && u.receipts.length > 0 && receipts(u.receipts));
}

function queue() {
  const s = state.status.store;
  return facts([[t("city.held"), t("city.batches", { n: number(s.batches_held) })],
    [t("city.waiting"), t("city.readings", { n: number(s.readings_waiting) })], [t("city.queue"), t("city.polls", { n: number(s.queue_polls) })],
    s.queue_dropped > 0 && [t("city.dropped"), t("city.polls", { n: number(s.queue_dropped) })],
    s.thinned > 0 && [t("city.thinned"), t("city.batches", { n: number(s.thinned) })]]);
}

const cause = (code) => (has(`void.${code}`) ? t(`void.${code}`) : english(code));
const lost = (c) => (!c.refused.length && !c.voided.length ? h("p", {}, t("city.none_refused")) : h("ul", { class: "list" },
  c.voided.map((v) => h("li", { key: `v${v.chain}/${v.seq_from}`, class: "event" }, h("p", {}, h("b", {}, v.seq_from === v.seq_to
    ? t("city.batch", { n: number(v.seq_from) }) : t("city.batch_range", { from: number(v.seq_from), to: number(v.seq_to) }))),
  h("p", {}, cause(v.cause)), h("p", { class: "quiet" }, t("city.said_in", { n: number(v.said_in), chain: v.chain })))),
  c.refused.map((r) => h("li", { key: `r${r.chain}/${r.seq}`, class: "event" }, h("p", { class: "when" }, full(r.at_ms)),
    h("p", {}, h("b", {}, t("city.refused_one", { seq: number(r.seq), n: number(r.readings) }))), h("p", { class: "quiet" }, english(r.code))))));

const digest = (d) => section(t("digest.title"), h("p", {}, t("digest.why")), d ? [
  h("img", { class: "code", src: `/api/v1/digest.svg?of=${d.sha256.slice(0, 16)}`, alt: t("digest.alt", { day: d.day.split("-").reverse().join("/") }), width: "264", height: "264" }),
  facts([[t("digest.day"), d.day.split("-").reverse().join("/")], [t("digest.batches"), `${number(d.seq_from)} – ${number(d.seq_to)}`],
    [t("digest.readings"), number(d.readings)], [t("digest.gaps"), number(d.gaps)], [t("digest.hash"), h("span", { class: "registers" }, d.sha256)]])]
  : h("p", { class: "quiet" }, t("digest.none")));

export function city() {
  const { data: c, error } = ask("city", EVERY_MS), uplinks = c?.uplinks ?? state.status.uplinks;
  if (!c && !error) return h("div", {}, h("h1", { tabindex: "-1" }, t("nav.city")), loading());
  return h("div", {}, h("h1", { tabindex: "-1" }, t("nav.city")),
    !uplinks.length && h("p", {}, t("city.none")),
    error && !c && h("p", { class: "quiet" }, t("page.failed", { why: error.message })),
    h("div", { class: "columns" }, uplinks.map(uplink), section(t("city.queue_title"), queue()),
      c && [section(t("city.refused"), lost(c)), digest(c.digest)]));
}
