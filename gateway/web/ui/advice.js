// The first sentence: whether all is well, or the most important problem, where, and the next step.
// The gateway says which, and what fills its blanks; the words are in the language files.
import { h } from "./dom.js";
import { ask, state } from "./state.js";
import { deviceOf } from "./parts.js";
import { has, number, t } from "./words.js";

const EVERY_MS = 2000;

const link = (to, word) => h("a", { class: "go", href: `#/${to}` }, t(word));
function where({ device, bus, uplink }) {
  if (device && deviceOf(device)) return link(`device/${device}`, "advice_where.device");
  if (uplink) return link("city", "advice_where.city");
  return bus ? link("devices", "advice_where.bus") : null;
}

// Whole numbers as the reader writes them. A code of a later version has no words here: better its name than nothing.
function one({ code, params: given }, first) {
  const params = Object.fromEntries(Object.entries(given).map(([name, v]) => [name, typeof v === "number" ? number(v) : v]));
  const next = has(`advice.${code}.next`) && t(`advice.${code}.next`, params);
  return [h("p", { class: "sentence", id: first ? "sentence" : null }, has(`advice.${code}`) ? t(`advice.${code}`, params) : code),
    next && h("p", { id: first ? "next" : null }, next), where(params)];
}

// Whether there is a sentence, or none to be had: what stands below it would jump when it comes.
export function advised() {
  const { data, error } = ask("advice", EVERY_MS);
  return data || error || state.lost_ms > 0;
}

export function advice() {
  const { data: a, error } = ask("advice", EVERY_MS);
  if (state.lost_ms) return null; // the page says so above
  if (!a) return h("div", { class: "banner wait", role: "status" }, h("p", { class: "sentence", id: "sentence" },
    error ? t("page.failed", { why: error.message }) : t("page.reading")));
  const more = a.more.length + a.left_off;
  return h("div", { class: `banner ${a.level}` }, h("div", { role: "status" }, one(a, true)),
    more > 0 && h("details", { class: "others" }, h("summary", {}, t("advice_where.more", { n: number(more) })),
      h("ul", {}, a.more.map((m) => h("li", { key: m.code + JSON.stringify(m.params) }, one(m, false))))));
}
