// The alarms, which stand before all else: what, since when, how high, and whether somebody knows.
import { h } from "./dom.js";
import { call, Refusal } from "./api.js";
import { ask, now, state } from "./state.js";
import { facts } from "./parts.js";
import { language, number, since, span, t, unitText } from "./words.js";

const EVERY_MS = 2000, LEVEL = { raised: "act", unknown: "act", acknowledged: "look", blind: "wait" };
const ORDER = Object.keys(LEVEL), said = new Map(); // alarm: what became of its acknowledgement

const may = () => ["technician", "administrator"].includes(state.session.role);
const figure = (a, v) => `${number(v, a.decimals)}\u00a0${unitText(a.unit)}`;
const words = (a) => (language === "en" && a.text.en) || a.text.vi;

async function acknowledge(a, draw) {
  said.delete(a.id);
  try {
    await call("POST", `alarms/${encodeURIComponent(a.id)}/acknowledgement`);
  } catch (e) {
    said.set(a.id, e instanceof Refusal ? t("alarm.refused", { why: e.message }) : t("door.unreachable"));
  }
  draw();
}

const age = (a, heard) => t("age.fresh", { age: span(a.age_ms + (now() - heard)) });
const reading = (a, heard) => (a.value === null ? t("alarm.no_value") : `${figure(a, a.value)} (${age(a, heard)})`);

const banner = (a, heard, draw) => h("div", { key: `alarm ${a.id}`, class: `banner ${LEVEL[a.state]}`, id: `alarm-${a.id}` },
  h("p", { class: "sentence", role: a.state === "raised" ? "alert" : null }, words(a)), h("p", {}, t(`alarm.${a.state}`)),
  facts([[t(`alarm.when.${a.when}`), reading(a, heard)], [t("alarm.limit"), figure(a, a.limit)],
    a.since_ms > 0 && [t("alarm.since"), since(a.since_ms, now())],
    a.acknowledged_ms > 0 && [t("alarm.known"), t("alarm.by", { name: a.acknowledged_by, time: since(a.acknowledged_ms, now()) })]]),
  a.since_ms > 0 && !a.acknowledged_ms && may() && h("p", { class: "probe" }, h("button", { type: "button", onclick: () => void acknowledge(a, draw) },
    t("alarm.acknowledge")), h("span", { role: "status" }, said.get(a.id))),
  h("p", {}, h("a", { class: "go", href: `#/why/${a.series}` }, t("alarm.why"))));

export function alarms(draw) {
  if (!state.status.alarms || state.lost_ms) return null;
  const { data } = ask("alarms", EVERY_MS);
  return data && data.alarms.filter((a) => LEVEL[a.state]).sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state))
    .map((a) => banner(a, data.now_ms, draw));
}
