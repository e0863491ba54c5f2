// The page in a browser. Two uses:
//   node page.mjs --site build/dev/bin/test-web-site [--shots DIR]   checks it on the made-up site
//   node page.mjs --url http://127.0.0.1:8080/ --shots DIR           takes pictures of a running one
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const { values: option } = parseArgs({
  options: { site: { type: "string" }, url: { type: "string" }, shots: { type: "string" } },
});
const PHONE = { width: 360, height: 740 }, DESKTOP = { width: 1280, height: 800 };
const PATIENCE_MS = 15000;
const work = mkdtempSync(join(tmpdir(), "fp-page-"));
const shots = option.shots ?? work;
mkdirSync(shots, { recursive: true });

async function browserOpen() {
  return chromium.launchPersistentContext(join(work, "profile"), {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, viewport: PHONE,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
}

async function siteOpen(path) {
  const child = spawn(path, [], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const line = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", resolve);
    ended.then((code) => reject(new Error(`${path} ended with ${code}`)));
  });
  return { url: `http://127.0.0.1:${line}/`, child, ended };
}

// What the page asks for, and what it complains about.
function watch(page, origin) {
  const seen = { outside: [], errors: [], quiet: false };
  page.on("request", (r) => {
    if (!r.url().startsWith(origin)) seen.outside.push(r.url());
  });
  page.on("console", (m) => {
    if (!seen.quiet && ["error", "warning"].includes(m.type())) seen.errors.push(m.text());
  });
  page.on("pageerror", (e) => seen.errors.push(String(e)));
  page.on("dialog", (d) => {
    seen.errors.push(`dialog: ${d.message()}`);
    void d.dismiss();
  });
  return seen;
}

const row = (page, device, n) => page.locator(`#device-${device} tbody tr`).nth(n);

async function loaded(page, url) {
  await page.goto(url);
  await page.waitForSelector("article.card tbody tr", { timeout: PATIENCE_MS });
}

async function shot(page, name, size, fullPage = true) {
  await page.setViewportSize(size);
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(wide <= 0, `${name}: the page is ${wide} px wider than the screen`);
}

async function checkVietnamese(page) {
  assert.equal(await page.locator("html").getAttribute("lang"), "vi");
  assert.equal(await page.locator("#site").textContent(), "UBND phường Trà Câu");
  const sentence = await page.locator("#sentence").textContent();
  assert.match(sentence, /^Thùng rác thực phẩm \(sân sau\) không trả lời từ /);
  assert.match(await page.locator("#step").textContent(), /nguồn/);
  assert.match(await page.locator("#sending").textContent(), /gói số 1, .*trước/);
  const volt = row(page, "meter-1", 0);
  assert.equal(await volt.locator(".value").textContent(), "230,1 V");
  assert.match(await volt.locator(".age").textContent(), /^\d+ giây trước$/);
  assert.equal(await volt.locator(".quality").textContent(), "tốt");
  assert.equal(await volt.locator("s").count(), 0);
  assert.match(await row(page, "air-1", 0).locator(".value").textContent(), /^1\.234,5 µg\/m³$/);
  assert.equal(await row(page, "air-1", 0).locator(".quality").textContent(), "ngoài giới hạn");
}

async function checkStale(page) {
  const weight = row(page, "bin-1", 0);
  assert.match(await weight.locator("s").textContent(), /^41,3$/);
  assert.match(await weight.locator(".age").textContent(), /^cũ: 1\d phút trước$/);
  assert.match(await weight.locator(".quality").textContent(), /^không đo được/);
}

// A name that is HTML is shown as what it is.
async function checkHostile(page) {
  const title = await page.locator("#device-odd-1 h3").textContent();
  assert.equal(title, '<img src=x onerror=alert(1)>" & </script>');
  assert.equal(await page.locator("article img, article script").count(), 0);
}

async function checkAgesTick(page) {
  const age = row(page, "meter-1", 0).locator(".age"), before = await age.textContent();
  await page.waitForFunction(
    (old) => document.querySelector("#device-meter-1 tbody .age").textContent !== old, before,
    { timeout: PATIENCE_MS });
}

async function checkLanguage(page) {
  await page.locator("#language").focus();
  await page.keyboard.press("Enter");
  assert.equal(await page.locator("html").getAttribute("lang"), "en");
  assert.equal(await row(page, "meter-1", 0).locator(".value").textContent(), "230.1 V");
  await page.reload();
  await page.waitForSelector("article.card tbody tr", { timeout: PATIENCE_MS });
  assert.equal(await page.locator("html").getAttribute("lang"), "en", "the choice is remembered");
}

async function checkLink(page) {
  await page.locator("#more a").focus();
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "device-bin-1");
}

async function checkRoles(page) {
  const table = page.getByRole("table", { name: /Công tơ tầng 1/ });
  assert.equal(await table.getByRole("row").count(), 4);
  assert.equal(await table.getByRole("columnheader").count(), 4);
}

async function sentenceBecomes(page, pattern) {
  await page.waitForFunction(
    (source) => new RegExp(source).test(document.querySelector("#sentence").textContent),
    pattern.source, { timeout: PATIENCE_MS });
}

async function checkSite() {
  const site = await siteOpen(option.site), context = await browserOpen();
  try {
    const page = context.pages()[0] ?? (await context.newPage()), seen = watch(page, site.url);
    await loaded(page, site.url);
    await checkVietnamese(page);
    await checkStale(page);
    await checkHostile(page);
    await checkRoles(page);
    await checkAgesTick(page);
    await shot(page, "phone", PHONE);
    await shot(page, "desktop", DESKTOP);
    await page.emulateMedia({ colorScheme: "dark" });
    await shot(page, "phone-dark", PHONE);
    await page.emulateMedia({ colorScheme: "light" });
    await checkLink(page);
    await checkLanguage(page);
    await shot(page, "phone-en", PHONE);
    assert.equal(await page.locator("#more").textContent(), "Show this device · 2 more to look at");
    site.child.stdin.write("mend\n");
    await sentenceBecomes(page, /^All is well/);
    assert.match(await page.locator("#step").textContent(), /^5 devices answer, 9 values/);
    await shot(page, "phone-well", PHONE, false);
    assert.deepEqual(seen.errors, []);
    seen.quiet = true; // the browser itself reports each request that fails from here on
    site.child.stdin.end();
    assert.equal(await site.ended, 0);
    await sentenceBecomes(page, /^The gateway has not answered since \d/);
    await shot(page, "phone-offline", PHONE, false);
    assert.deepEqual(seen.outside, []);
    assert.deepEqual(seen.errors, []);
  } finally {
    site.child.kill();
    await context.close();
  }
}

async function picture() {
  const context = await browserOpen();
  try {
    const page = context.pages()[0] ?? (await context.newPage());
    await loaded(page, option.url);
    await shot(page, "phone", PHONE);
    await shot(page, "desktop", DESKTOP);
  } finally {
    await context.close();
  }
}

try {
  await (option.url ? picture() : checkSite());
  console.log(`the page is well; pictures in ${option.shots ?? "none kept"}`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
