// The site's way out: what carries it, how well it is heard, and where it last broke.
import { h } from "./dom.js";
import { ask, state } from "./state.js";
import { deviceBadge, deviceName, english, facts, loading, pointRow, pointsOf, section } from "./parts.js";
import { card, messages } from "./devices.js";
import { linkOf } from "./overview.js";
import { row } from "./events.js";
import { bytes, full, t } from "./words.js";

const EVERY_MS = 5000, LOOKED = 200, RECENT = 15;
const CELL = ["rsrp", "rsrq", "sinr", "band", "channel", "frequency", "cell", "area"]; // of LTE; nr_… of 5G
const own = () => state.status.devices.filter((d) => d.bus === "connectivity");

// One cell that serves, or that there is none: LTE and 5G may both be there at once (EN-DC).
function cell(points, title, prefix) {
  const of = points.filter((p) => CELL.some((c) => p.point === prefix + c));
  if (!of.length) return null;
  const heard = of.filter((p) => p.value !== null);
  return [h("h3", {}, title), heard.length ? h("ul", { class: "points card" }, heard.map(pointRow)) : h("p", { class: "quiet" }, t("network.no_cell"))];
}

function modem(d) {
  const points = pointsOf(d.id), rest = points.filter((p) => !CELL.some((c) => p.point === c || p.point === `nr_${c}`));
  return section(deviceName(d), h("p", {}, deviceBadge(d)), d.text && h("p", { class: d.state === "good" ? "quiet" : "banner look" }, english(d.text)),
    d.says && h("p", { class: "quiet" }, english(d.says)), h("ul", { class: "points card", id: `device-${d.id}` }, rest.map(pointRow)), cell(points, t("network.lte"), ""), cell(points, t("network.nr"), "nr_"),
    h("p", {}, h("a", { class: "go", href: `#/device/${d.id}` }, t("network.more"))), messages(d));
}

const way = (u) => [h("h3", {}, t("city.uplink", { id: u.id })), facts([[t("city.link"), [linkOf(u), u.text && [h("br"), english(u.text)]]],
  [t("city.last_ok"), u.last_ok_ms ? full(u.last_ok_ms) : t("city.never")],
  [t("city.data_month"), u.data.budget_bytes ? t("city.data_of", { n: bytes(u.data.month_bytes), total: bytes(u.data.budget_bytes) }) : bytes(u.data.month_bytes)]])];

// What was told of these devices and of the uplinks, among the newest.
function lately() {
  const { data, error } = ask(`events?limit=${LOOKED}`, EVERY_MS);
  if (!data) return error ? h("p", { class: "wrong", role: "alert" }, t("page.failed", { why: error.message })) : loading();
  const names = new Set([...own(), ...state.status.uplinks].map((x) => x.id));
  const list = data.events.filter((e) => names.has(e.subject)).slice(0, RECENT);
  return list.length ? h("ol", { class: "list" }, list.map(row)) : h("p", { class: "quiet" }, t("network.quiet", { n: LOOKED }));
}

function sentence() {
  const { uplinks } = state.status, lost = uplinks.filter((u) => u.text).length;
  const bad = own().filter((d) => ["silent", "faulty"].includes(d.state)).map(deviceName);
  const say = (level, words) => h("p", { class: `banner ${level}` }, h("span", { class: "sentence" }, words));
  if (bad.length) return say("look", t("network.bad", { names: bad.join(", ") }));
  if (lost) return say("look", t("network.lost"));
  return uplinks.length && say(state.lost_ms ? "wait" : "good", t("network.good"));
}

export function network() {
  const all = own(), modems = all.filter((d) => d.model === "modem"), others = all.filter((d) => d.model !== "modem");
  return h("div", {}, h("h1", { tabindex: "-1" }, t("bus.connectivity")), sentence(),
    !all.length && h("p", {}, t("network.none")),
    (state.status.survey.area || state.status.survey.walks) && h("p", {}, h("a", { class: "go", id: "to-survey", href: "#/survey" }, t("survey.open"))),
    h("div", { class: "columns" }, modems.map(modem), others.length > 0 && section(t("network.ways"), h("div", { class: "cards" }, others.map(card))),
      section(t("network.city"), state.status.uplinks.length ? state.status.uplinks.map(way) : h("p", {}, t("city.none")))),
    section(t("network.lately"), lately()));
}
