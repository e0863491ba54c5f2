// node build.mjs NPM OUT.c: the page as it goes into the program. NPM is a folder where `npm ci` has
// installed what package.json names. A file is known by a name that holds its hash, so a browser may
// keep it for ever; only index.html keeps its place. Each is packed here, once.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const TYPES = { ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8", ".json": "application/json", ".svg": "image/svg+xml" };
const here = dirname(fileURLToPath(import.meta.url)), [npm, out] = process.argv.slice(2);
const modules = join(npm, "node_modules");

// What the page is made of: its own files, uPlot as a module, and the licences of what is not ours.
const sources = new Map();
for (const folder of [".", "lang"]) {
  for (const name of readdirSync(join(here, folder)).filter((n) => TYPES[extname(n)])) {
    if (!name.startsWith("package")) sources.set(name, readFileSync(join(here, folder, name), "utf8"));
  }
}
// All modules at once, not each when the one before has come.
sources.set("index.html", sources.get("index.html").replace("<!-- modules -->", [...sources.keys()]
  .filter((n) => n.endsWith(".js") && n !== "main.js").map((n) => `<link rel="modulepreload" href="./${n}">`).join("\n")));
const plot = (name) => readFileSync(join(modules, "uplot/dist", name), "utf8");
sources.set("uplot.js", `${plot("uPlot.iife.min.js")}\nexport default uPlot;\n`);
sources.set("uplot.css", plot("uPlot.min.css"));
const named = JSON.parse(readFileSync(join(here, "package.json"), "utf8")).dependencies;
sources.set("licences.json", JSON.stringify(Object.keys(named).map((name) => {
  const is = JSON.parse(readFileSync(join(modules, name, "package.json"), "utf8"));
  if (is.version !== named[name]) throw new Error(`${name} is ${is.version}, not ${named[name]}`);
  return { name, version: is.version, licence: is.license,
    text: readFileSync(join(modules, name, "LICENSE"), "utf8") };
})));

// "./name" in a text becomes the hashed name; whoever is named comes first.
const REFERENCE = /"\.\/(?:lang\/)?([\w.-]+)"/g;
const done = new Map(), begun = new Set();
function finish(name) {
  if (done.has(name)) return done.get(name);
  if (!sources.has(name)) throw new Error(`the page has no file ${name}`);
  if (begun.has(name)) throw new Error(`${name} names itself through others`);
  begun.add(name);
  const text = sources.get(name).replace(REFERENCE, (_, other) => `"./${finish(other).path.slice(1)}"`);
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 16), ext = extname(name);
  const path = name === "index.html" ? "/" : `/a/${basename(name, ext)}.${hash}${ext}`;
  done.set(name, { path, hash, text, type: TYPES[ext] });
  return done.get(name);
}
// A module names others beside it: those are in /a/ already; index.html names them from above.
const local = (f) => (f.path === "/" ? f.text : f.text.replaceAll('"./a/', '"./'));

finish("index.html");
for (const name of sources.keys()) if (!done.has(name)) throw new Error(`nothing names ${name}`);

const rows = [], arrays = [];
for (const f of done.values()) {
  const plain = Buffer.from(local(f)), quality = { [constants.BROTLI_PARAM_QUALITY]: 11 };
  const forms = { plain, gzip: gzipSync(plain, { level: 9 }), br: brotliCompressSync(plain, { params: quality }) };
  const n = rows.length;
  for (const [form, bytes] of Object.entries(forms)) {
    arrays.push(`static const unsigned char f${n}_${form}[] = {${[...bytes].join(",")}};`);
  }
  rows.push(`    {"${f.path}", "${f.type}", "W/\\"${f.hash}\\"", {${Object.keys(forms)
    .map((form) => `{f${n}_${form}, sizeof f${n}_${form}}`).join(", ")}}},`);
}
const c = `/* Made by gateway/web/ui/build.mjs. */
#include "gateway/web/assets.h"

${arrays.join("\n")}
const struct web_asset web_assets[] = {
${rows.join("\n")}
};
const size_t web_assets_count = sizeof web_assets / sizeof *web_assets;
`;
if (!existsSync(out) || readFileSync(out, "utf8") !== c) writeFileSync(out, c);
