// What the tests of the page share: a browser that complains aloud, the real programs as children,
// and judges of a screen.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

export const PHONE = { width: 360, height: 740 }, DESKTOP = { width: 1280, height: 800 };
export const PATIENCE_MS = 20000, TARGET_PX = 44, FIRST_LOAD_BYTES = 150000;
export const BIN = process.env.FP_BIN;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
// The browser complains of these answers, which are as they should be: nobody is signed in yet, the name
// or the code is wrong; of advice, which is not served yet; and of an icon for an address that is no page.
const usual = (m) => (/\b40[13]\b/.test(m.text()) && /\/api\/v1\/(session|first)$/.test(m.location().url)) ||
  (/\b404\b/.test(m.text()) && /\/(api\/v1\/advice|favicon\.ico)$/.test(m.location().url));
const LOCALES = { vi: "vi-VN", en: "en-GB" };

export const work = mkdtempSync(join(tmpdir(), "fp-web-"));
const children = new Set();
let browser = null;

// A program that says on `from` (stdout, stderr) when it is ready: {child, ready: match, ended}.
export async function program(path, args, { ready, from = "stdout", env = {} }) {
  const child = spawn(path, args, { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, ...env } });
  children.add(child);
  const said = [], ended = new Promise((resolve) => child.once("exit", (code) => {
    children.delete(child);
    resolve(code);
  }));
  const match = await new Promise((resolve, reject) => {
    for (const stream of ["stdout", "stderr"]) {
      createInterface({ input: child[stream] }).on("line", (line) => {
        said.push(line);
        if (stream === from && ready.test(line)) resolve(ready.exec(line));
      });
    }
    void ended.then((code) => reject(new Error(`${path} ended with ${code}: ${said.join("\n")}`)));
  });
  return { child, ready: match, ended, said };
}

// This certificate is the one that the browser trusts, and no other: the gateway's own or (flags C) a CA's.
// Before the first open().
export function trust(certificate, flags = "P,,") {
  const store = join(work, ".pki", "nssdb");
  mkdirSync(store, { recursive: true });
  for (const args of [["-N", "--empty-password"], ["-A", "-t", flags, "-n", "gateway", "-i", certificate]]) {
    assert.equal(spawnSync("certutil", ["-d", `sql:${store}`, ...args]).status, 0, "certutil");
  }
}

export async function signIn({ page, seen }, url, name, password) {
  await page.goto(`${url}healthz`);
  const status = await page.evaluate(async (body) => (await fetch("/api/v1/session", {
    method: "POST", headers: { "Content-Type": "application/json" }, body })).status,
  JSON.stringify({ name, password }));
  assert.equal(status, 200);
}

// At the door, as a person does.
export async function enter(page, name, password) {
  await page.locator("input[name=name]").fill(name);
  await page.locator("input[name=password]").fill(password);
  await page.locator("form.door button").click();
}

export function run(name, ...args) {
  return tell(name, "", ...args);
}

export function tell(name, input, ...args) {
  const done = spawnSync(join(BIN, name), args, { encoding: "utf8", input });
  assert.equal(done.status, 0, `${name} ${args.join(" ")}: ${done.stderr}`);
  return done.stdout;
}

// A page of its own, as a reader of that language has it, and what it asked and complained about.
export async function open(size, language, more = {}) {
  browser ??= await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    env: { ...process.env, HOME: work }, args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update"] });
  const context = await browser.newContext({ viewport: size, locale: LOCALES[language], hasTouch: size === PHONE,
    reducedMotion: "reduce", acceptDownloads: true, ...more });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage(), seen = { outside: [], errors: [], quiet: false, origin: null };
  await page.addInitScript(() => addEventListener("securitypolicyviolation",
    (e) => console.error(`the page's policy forbids: ${e.violatedDirective} ${e.blockedURI}`)));
  page.on("request", (r) => {
    if (seen.origin && !r.url().startsWith(seen.origin)) seen.outside.push(r.url());
  });
  page.on("console", (m) => {
    if (!seen.quiet && ["error", "warning"].includes(m.type()) && !usual(m)) seen.errors.push(`${m.text()} ${m.location().url}`);
  });
  page.on("pageerror", (e) => seen.errors.push(String(e.stack)));
  page.on("dialog", (d) => {
    seen.errors.push(`dialog: ${d.message()}`);
    void d.dismiss();
  });
  return { page, seen, context };
}

export function nothingAmiss(seen) {
  assert.deepEqual(seen.errors, []);
  assert.deepEqual(seen.outside, []);
}

export async function go(page, hash) {
  await page.evaluate((to) => { location.hash = to; }, `#/${hash}`);
}

export async function speak(page, language) {
  if (await page.locator("html").getAttribute("lang") !== language) await page.locator("#language").click();
  await page.locator(`html[lang=${language}]`).waitFor();
}

// With FP_SHOTS=DIR the pictures are kept, to be looked at.
export async function shot(page, name) {
  if (!process.env.FP_SHOTS) return;
  mkdirSync(process.env.FP_SHOTS, { recursive: true });
  await page.screenshot({ path: join(process.env.FP_SHOTS, `${name}.png`), fullPage: true });
}

// Nothing sticks out or is cut off, what one touches is large enough, and no text is a programmer's.
export async function fitsScreen(page, name) {
  const is = await page.evaluate((least) => ({
    wide: document.documentElement.scrollWidth - window.innerWidth,
    cut: [...document.querySelectorAll("body *:not(.unseen, .plot *)")].filter((e) => e.clientWidth > 0 &&
      e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== "auto").map((e) => e.outerHTML.slice(0, 90)),
    raw: /\b(undefined|NaN|null|Infinity|Invalid Date)\b|\[object|\{[a-z]+\}/.exec(document.body.innerText)?.[0] ?? "",
    small: [...document.querySelectorAll("button, select, input, summary, nav a, a.row, a.go, a.head")].filter((e) => {
      const r = e.getBoundingClientRect();
      return r.width > 0 && (r.height < least - 0.5 || r.width < least - 0.5);
    }).map((e) => e.outerHTML.slice(0, 90)),
  }), TARGET_PX);
  assert.ok(is.wide <= 0, `${name} is ${is.wide} px wider than the screen`);
  assert.deepEqual(is.cut, [], `${name}: wider than their place`);
  assert.equal(is.raw, "", `${name}: a text that is for nobody`);
  assert.deepEqual(is.small, [], `${name}: too small to touch`);
}

// axe-core; contrast by the strict measure (AAA) too.
export async function accessible(page, name) {
  if (!await page.evaluate(() => "axe" in globalThis)) await page.evaluate(AXE); // no element: the policy lets no other script in
  const found = await page.evaluate(async () => (await globalThis.axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    rules: { "color-contrast-enhanced": { enabled: true } } })).violations.map((v) =>
    `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 120)).join(" | ")}`));
  assert.deepEqual(found, [], name);
}

export async function end() {
  await browser?.close();
  for (const child of children) {
    child.kill("SIGCONT");
    child.stdin?.end(); // the made-up site ends with it, and takes its folder along
    const ended = child.exitCode !== null || child.signalCode !== null ? null : new Promise((done) => { child.once("exit", done); });
    if (ended && child.spawnfile.endsWith("test-web-site")) await Promise.race([ended, new Promise((late) => { setTimeout(late, 5000).unref(); })]);
    child.kill("SIGKILL");
  }
  rmSync(work, { recursive: true, force: true });
}
