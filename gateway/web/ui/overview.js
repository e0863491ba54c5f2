// The overview: whether all is well, and if not what, where, and what to do next; then what is sent
// and how long the rest is kept.
import { h } from "./dom.js";
import { now, state } from "./state.js";
import { leave } from "./door.js";
import { advice, advised } from "./advice.js";
import { alarms } from "./alarms.js";
import { badge, deviceBadge, deviceFull, facts, section } from "./parts.js";
import { bytes, full, number, since, span, t } from "./words.js";

const MANY_DAYS = 3650, MANY_YEARS = 100, DAY = 86400e3;
// Days and years are estimates: two digits say enough.
const about = (n) => number(n, n < 10 ? 1 : 0, 0);

const ago = (ms) => t("age.fresh", { age: span(now() - ms) });
export const receipt = (u) => (u.receipt ? [t("city.batch", { n: number(u.receipt.seq) }), h("br"),
  `${since(u.receipt.at_ms, now())} (${ago(u.receipt.at_ms)})`] : t("city.no_receipt"));

export function linkOf(u) {
  if (u.text) return badge("look", t("city.link_down"));
  return u.online ? badge("good", t("city.link_up")) : badge("wait", t("city.link_waits"));
}

function city() {
  const { store, uplinks } = state.status, many = uplinks.length > 1;
  if (!uplinks.length) return h("p", {}, t("city.none"));
  return [...uplinks.map((u) => [many && h("h3", {}, u.id), facts([
    [t("city.link"), linkOf(u)], [t("city.last_receipt"), receipt(u)],
    u.data.budget_bytes && [t("city.data_month"), t("city.data_of", { n: bytes(u.data.month_bytes), total: bytes(u.data.budget_bytes) })]])]),
  facts([[t("city.unsent"), store.batches_unsent ? t("city.batches", { n: number(store.batches_unsent) }) : t("city.all_sent")]])];
}

function autonomy(s) {
  if (s.days_of_autonomy === null) return t("keep.unknown");
  const much = s.days_of_autonomy >= MANY_DAYS, n = about(much ? MANY_DAYS : s.days_of_autonomy);
  const text = t(much ? "keep.more_days" : "keep.days", { n });
  return s.measured_over_hours < 24 ? `${text} ${t("keep.measured", { age: span(s.measured_over_hours * 3600e3) })}` : text;
}

function flash(f) {
  const life = Math.max(f.life_used_percent_a ?? -1, f.life_used_percent_b ?? -1);
  if (life >= 0) return t("keep.worn", { n: number(life) });
  if (f.years_left === null) return t("keep.unknown");
  const much = f.years_left >= MANY_YEARS;
  return t(much ? "keep.more_years" : "keep.years", { n: about(much ? MANY_YEARS : f.years_left) });
}

const held = (days) => (days < 2 ? span(days * DAY) : t("keep.days", { n: about(days) }));

function keeping() {
  const s = state.status.store;
  return facts([
    [t("keep.held"), s.days_held === null ? t("keep.none") : held(s.days_held)],
    [t("keep.autonomy"), autonomy(s)],
    [t("keep.last_commit"), s.last_commit_ms ? ago(s.last_commit_ms) : t("keep.none")],
    [t("keep.flash"), flash(state.status.flash)]]);
}

function deviceList() {
  const all = state.status.devices, sick = all.filter((d) => d.state !== "good");
  if (!all.length) return h("p", {}, t("device.none"));
  const well = all.length - sick.filter((d) => d.state !== "late").length;
  return [facts([[t("device.answering"), t("device.of", { n: number(well), all: number(all.length) })]]),
    sick.length > 0 && h("ul", { class: "list" }, sick.map((d) => h("li", { key: d.id }, h("a", { href: `#/device/${d.id}`, class: "row" },
      h("span", { class: "name" }, deviceFull(d)), deviceBadge(d))))),
    h("p", {}, h("a", { href: "#/devices", class: "go" }, t("device.all")))];
}

function site() {
  const { site: s, clock } = state.status;
  return facts([[t("site.id"), s.id], [t("site.territory"), s.territory],
    [t("site.clock"), `${full(now())} · ${t(`clock.${clock}`)}`]]);
}

const rest = () => [h("div", { class: "columns" }, section(t("nav.city"), city()), section(t("nav.devices"), deviceList()),
  section(t("keep.title"), keeping()), section(t("site.title"), site())),
h("p", {}, h("a", { href: "#/about", class: "go" }, t("nav.about"))),
state.session.name && h("p", { class: "who" }, h("span", {}, t("door.who", { name: state.session.name, role: t(`role.${state.session.role}`) })), " ",
  h("button", { type: "button", id: "leave", onclick: leave }, t("door.leave")))];

export const overview = (at, draw) => h("div", {}, h("h1", { tabindex: "-1", class: "unseen" }, t("nav.overview")), alarms(draw), advice(), advised() && rest());
