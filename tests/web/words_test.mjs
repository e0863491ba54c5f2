// The page's words: both languages say everything, with the same blanks; the page asks for no other
// and needs all; no text of the page stands outside them, and no text becomes HTML.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const UI = join(import.meta.dirname, "../../gateway/web/ui");
const read = (name) => readFileSync(join(UI, name), "utf8");
const vi = JSON.parse(read("lang/vi.json")), en = JSON.parse(read("lang/en.json"));
const files = readdirSync(UI).filter((n) => n.endsWith(".js")), html = read("index.html");
// Without comments: what is said there is for us.
const source = new Map(files.map((n) => [n, read(n).replace(/^\s*\/\/.*$|(?<=[;{},]) \/\/ .*$/gm, "")]));
const all = [...source.values()].join("\n");

// Keys that are put together when the page runs: their beginning, and where the ends are listed.
const api = readFileSync(join(UI, "../../doc/openapi.yaml"), "utf8").replace(/\n\s+/g, " ");
const list = (name) => new RegExp(`\\b${name}: \\{(?:description: [^,}]*, )?enum: \\[([^\\]]*)\\]`).exec(api)[1].replaceAll('"', "").split(", ");
const families = {
  "state.": list("State"), "cause.": list("Cause"), "gap.": list("Cause"), "clock.": list("Clock"),
  "severity.": ["warning", "error"], "quality.": ["1", "2", "4", "8", "16", "32", "64", "128"],
  "finding.": /Finding: .*?code: \{enum: \[([^\]]*)\]/.exec(api)[1].split(", "),
};
const events = () => {
  const found = new Set(), walk = (dir) => {
    for (const f of readdirSync(dir, { withFileTypes: true })) {
      if (f.isDirectory()) walk(join(dir, f.name));
      else if (f.name.endsWith(".c")) {
        const text = readFileSync(join(dir, f.name), "utf8"); // told at once, by a table of states, as a change
        for (const [, code] of text.matchAll(/store_event\([^;"]*?STORE_\w+,\s*"([a-z_.]+)"/g)) found.add(code);
        for (const [, code] of text.matchAll(/\{STORE_\w+, \w+, "([a-z_.]+)"/g)) found.add(code);
        for (const [, code] of text.matchAll(/\.code = (?:\w+ \? )?"([a-z_]+\.[a-z_]+)"/g)) found.add(code);
      }
    }
  };
  walk(join(UI, "../.."));
  return [...found];
};

test("each key has words in both languages, with the same blanks", () => {
  assert.deepEqual(Object.keys(vi).sort(), Object.keys(en).sort());
  const blanks = (text) => (text.match(/\{\w+\}/g) ?? []).sort().join();
  for (const key of Object.keys(vi)) {
    assert.ok(vi[key].trim() && en[key].trim(), `${key} is empty`);
    assert.equal(blanks(vi[key]), blanks(en[key]), `${key} has other blanks in one language`);
  }
});

test("every key that the page asks for is there, and none is there for nothing", () => {
  const literal = [...all.matchAll(/"([a-z_]+\.[a-z0-9_.]+)"/g), ...html.matchAll(/data-word="([^"]+)"/g)].map((m) => m[1])
    .filter((k) => !/\.(js|json|css|svg)$/.test(k));
  const begun = [...new Set([...all.matchAll(/`([a-z_]+\.[a-z_]*)\$\{/g)].map((m) => m[1]))];
  assert.ok(literal.length > 150, "the search for keys finds them");
  assert.deepEqual(literal.filter((k) => !(k in vi)), [], "asked for and not there");
  for (const [family, ends] of Object.entries(families)) {
    assert.ok(begun.includes(family), `${family} is used`);
    for (const end of ends) assert.ok(family + end in vi, `no word for ${family}${end}`);
  }
  assert.deepEqual(Object.keys(vi).filter((k) => !literal.includes(k) && !begun.some((b) => k.startsWith(b))), [], "never asked for");
});

test("what happens in the gateway has a name in both languages", () => {
  const codes = events();
  assert.ok(codes.length > 40);
  assert.deepEqual(codes.filter((c) => !(`event.${c}` in vi)), []);
});

test("no text of the page stands outside the words", () => {
  for (const [name, text] of source) {
    const strings = [...text.matchAll(/"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`/g)].map((m) => m[1] ?? m[2].replace(/\$\{[^}]*\}/g, ""));
    const said = strings.filter((s) => /(?=\p{L})[^\x00-\x7f]/u.test(s) || /[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}/.test(s.replace(/[.#][\w-]+/g, "")));
    assert.deepEqual(said.filter((s) => !/^(M\d|µg\/|[a-z-]+ [a-z-]+ [a-z-]+$)/.test(s) && !/system-ui/.test(s)), [], name);
    assert.doesNotMatch(text, /(?:aria-label|title|placeholder|alt)"?: ["`][^"`$]*[A-Za-z]{2}/, name);
  }
});

test("text never becomes HTML, a style or a request elsewhere", () => {
  for (const [name, text] of [...source, ["index.html", html]]) {
    assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(|new Function|DOMParser|srcdoc|javascript:|style="|"style"/, name);
    assert.doesNotMatch(text.replace("http://www.w3.org/2000/svg", ""), /https?:\/\//, name);
  }
});
