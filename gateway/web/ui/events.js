// What happened, the newest first.
import { h } from "./dom.js";
import { ask, now } from "./state.js";
import { badge, deviceName, deviceOf, english, loading, whatHappened } from "./parts.js";
import { full, since, t } from "./words.js";

const PAGE = 50, EVERY_MS = 5000, LEVEL = { info: "wait", warning: "look", error: "act" };
let pages = [0], only = "all"; // pages: `before` of each that is open; 0: the newest

export function row(e) {
  const what = whatHappened(e.code), time = since(e.t_ms, now());
  return h("li", { key: e.id, class: `event ${e.severity}` },
    h("p", { class: "when" }, h("time", { datetime: new Date(e.t_ms).toISOString(), title: full(e.t_ms) }, time),
      e.clock === "unknown" && ` (${t("clock.unknown")})`),
    e.severity !== "info" && badge(LEVEL[e.severity], t(`severity.${e.severity}`)),
    h("p", { class: "what" }, h("b", {}, what ?? english(e.code)), e.subject && ` · ${deviceOf(e.subject) ? deviceName(deviceOf(e.subject)) : e.subject}`),
    e.text && h("p", { class: "quiet" }, english(e.text)));
}

export function events(at, draw) {
  const answers = pages.map((before, i) => ask(`events?limit=${PAGE}${before ? `&before=${before}` : ""}`,
    i === 0 ? EVERY_MS : Infinity));
  const seen = new Map(answers.flatMap((a) => a.data?.events ?? []).map((e) => [e.id, e]));
  const all = [...seen.values()].sort((a, b) => b.id - a.id), list = all.filter((e) => only === "all" || e.severity !== "info");
  const last = answers.at(-1);
  return h("div", {}, h("h1", { tabindex: "-1" }, t("nav.events")),
    h("div", { class: "ranges", role: "group", "aria-label": t("events.which") }, ["all", "important"].map((w) =>
      h("button", { type: "button", "aria-pressed": String(only === w), onclick: () => {
        only = w;
        draw();
      } }, t(`events.${w}`)))),
    answers[0].error && !answers[0].data && h("p", { class: "wrong", role: "alert" }, t("page.failed", { why: answers[0].error.message })),
    !answers[0].data && !answers[0].error && loading(),
    answers[0].data && !list.length && h("p", {}, t("events.none")),
    list.length > 0 && h("ol", { class: "list" }, list.map(row)),
    last.data?.events.length === PAGE && h("button", { type: "button", onclick: () => {
      pages = [...pages, last.data.events.at(-1).id];
      draw();
    } }, t("events.older")));
}
