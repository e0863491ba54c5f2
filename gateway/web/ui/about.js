// What runs here, and whose work it is.
import { h } from "./dom.js";
import { ask, state } from "./state.js";
import { facts, loading, section } from "./parts.js";
import { full, t } from "./words.js";

let licences = null, asked = false;

async function load(draw) {
  asked = true;
  try {
    licences = await (await fetch(new URL("./licences.json", import.meta.url))).json();
  } catch {
    asked = false;
  }
  draw();
}

const hash = (text) => h("span", { class: "registers" }, text.replace(/(.{8})(?=.)/g, "$1 "));

export function about(at, draw) {
  if (!asked) void load(draw);
  const { version, site } = state.status, { data: a, error } = ask("about");
  return h("div", {}, h("h1", { tabindex: "-1" }, t("nav.about")),
    facts([[t("about.version"), version], [t("site.id"), site.id], [t("site.territory"), site.territory],
      a && [t("about.started"), full(a.started_ms)], a?.key && [t("about.key"), hash(a.key.sha256)], a && [t("about.config"), hash(a.config)]]),
    error && !a && h("p", { class: "quiet" }, t("page.failed", { why: error.message })),
    a?.key && h("p", {}, t("about.key_says")),
    section(t("about.licences"), licences ? licences.map((l) => h("details", { key: l.name }, h("summary", {}, `${l.name} ${l.version} · ${l.licence}`),
      h("pre", { lang: "en" }, l.text))) : loading()),
    a && section(t("about.libraries"), h("ul", { class: "list" }, a.libraries.map((l) => h("li", { key: l.file, class: "event" },
      h("p", {}, h("b", {}, l.name ?? l.file), ` · ${l.licence ?? t("about.licence_unknown")}`), l.name && h("p", { class: "quiet" }, l.file))))));
}
