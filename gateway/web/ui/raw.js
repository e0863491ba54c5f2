// The registers behind a value, and the profile that says what they mean.
import { h } from "./dom.js";
import { english } from "./parts.js";
import { number, t } from "./words.js";

// As a technician's Modbus tool shows it: function, address, words; then how they are read.
export const words = (raw) => raw.registers.map((r) => r.toUpperCase()).join(" ");
export const place = (raw) => t("raw.place", { function: raw.function, address: raw.address });
export const reading = (raw) => [`${raw.type}${raw.registers.length > 1 ? ` ${raw.order}` : ""}`,
  raw.scale !== null && raw.scale !== 1 && ` × ${number(raw.scale, 9, 0)}`, // null: the device says it itself
  raw.offset && ` ${raw.offset < 0 ? "−" : "+"} ${number(Math.abs(raw.offset), 9, 0)}`];

export const profileFacts = (p) => p && [[t("raw.profile"), p.name.split("/").at(-1)], [t("raw.what"), english([p.model, p.what].filter(Boolean).join(", "))],
  [t("raw.source"), english(p.source)], [t("raw.verified"), t(p.verified ? "raw.verified_yes" : "raw.verified_no")]];

// Each point with its registers, as a technician compares them with a tool of his own.
export const registers = (points, nameOf) => h("details", {}, h("summary", {}, t("raw.title")),
  h("ul", { class: "points card" }, points.filter((p) => p.raw).map((p) => h("li", { key: p.point, class: "point" }, h("div", { class: "row" },
    h("span", { class: "name" }, nameOf(p)), h("span", { class: "registers" }, words(p.raw)),
    h("span", { class: "quality" }, place(p.raw)), h("span", { class: "age" }, reading(p.raw)))))));
