// verify.html in a browser, from a file and without a network, over what a gateway really sealed.
//   node verify_page.mjs --site build/dev/bin/test-day-site --page build/dev/share/fieldpost/verify.html
//     [--shots DIR]
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const { values: option } = parseArgs({
  options: { site: { type: "string" }, page: { type: "string" }, shots: { type: "string" } },
});
const PHONE = { width: 360, height: 740 }, DESKTOP = { width: 1280, height: 800 }, PATIENCE_MS = 30000;
const DAY = "2026-09-21";
const work = mkdtempSync(join(tmpdir(), "fp-verify-"));
const shots = option.shots ?? work;
mkdirSync(shots, { recursive: true });

const site = join(work, "site");
mkdirSync(site);
const made = spawnSync(option.site, [site], { encoding: "utf8" });
assert.equal(made.status, 0, made.stderr);
const usb = join(site, "usb"), gw = join(usb, "gw-01"), chain = join(gw, readdirSync(gw).find((x) => !x.includes(".")));
const digest = JSON.parse(readFileSync(join(site, "digest.json"), "utf8"));
const batchFile = (seq, folder = chain) => join(folder, `${seq}.cose.zst`);

async function open(page) {
  await page.goto(pathToFileURL(option.page).href);
  await page.setInputFiles("#key-file", join(site, "device.pub"));
  await page.waitForFunction(() => document.querySelector("#key-text").value.includes("BEGIN"));
}
// Runs the check and gives what the page says.
async function result(page) {
  await page.evaluate(() => { document.querySelector("#banner").className = ""; });
  await page.click("#check");
  await page.waitForSelector("#banner.good, #banner.bad", { timeout: PATIENCE_MS });
  return {
    kind: (await page.locator("#banner").getAttribute("class")).split(" ")[1],
    banner: await page.locator("#banner").textContent(),
    faults: await page.locator("#faults:not([hidden]) li").allTextContents(),
    days: await page.locator("#days:not([hidden]) li").allTextContents(),
  };
}
async function shot(page, name, size) {
  await page.setViewportSize(size);
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(wide <= 0, `${name}: the page is ${wide} px wider than the screen`);
  await page.setViewportSize(PHONE);
}

async function checkGood(page) {
  await page.setInputFiles("#folder", usb);
  await page.fill("#day", DAY);
  let r = await result(page);
  assert.deepEqual(r.faults, []);
  assert.equal(r.kind, "good");
  assert.match(r.banner, /^Tất cả đều đúng: \d+ gói, \d+ số đo\.$/);
  assert.equal(r.days.length, 1);
  assert.match(r.days[0], new RegExp(`${DAY}: gói 1 đến ${digest.seq_to}, ${digest.readings} số đo, 1 khoảng trống`));
  assert.match(r.days[0], /đã đối chiếu đủ các gói/);
  assert.ok(r.days[0].includes(digest.hash));
  await shot(page, "verify-phone", PHONE);
  await shot(page, "verify-desktop", DESKTOP);
  await page.click("#language");
  assert.match(await page.locator("#banner").textContent(), /^All is good: /);
  const csv = readFileSync(join(site, "readings.csv"), "utf8").trim().split("\n").slice(1).map((x) => x.split(","));
  await page.fill("#filter", csv[0][0]);
  assert.equal(await page.locator("#readings tbody tr").count(), 12, "a long list begins short");
  await page.click("#more");
  const shown = await page.locator("#readings tbody tr").allTextContents();
  const sealed = csv.filter((x) => x[0] === csv[0][0] && x[4]);
  assert.equal(shown.length, sealed.length);
  assert.ok(shown[0].startsWith(csv[0][0]) && shown[0].includes(sealed[0][2]), shown[0]);
  await page.fill("#filter", "");
  await page.click("#language");
  await page.fill("#day", "2026-09-20");
  r = await result(page);
  assert.equal(r.faults.length, 1);
  assert.match(r.faults[0], /không có bản tóm tắt của ngày 2026-09-20/);
  await page.fill("#day", DAY);
}

async function checkMissing(page) {
  const copy = join(work, "holes");
  cpSync(usb, copy, { recursive: true });
  rmSync(batchFile(5, chain.replace(usb, copy)));
  await page.setInputFiles("#folder", copy);
  const r = await result(page);
  assert.equal(r.kind, "bad");
  assert.ok(r.faults.some((x) => x.includes("thiếu gói 5 trước gói này")), r.faults.join());
  assert.ok(r.faults.some((x) => x.includes(`thiếu gói 5 của ngày ${DAY}`)));
  assert.ok(r.faults.some((x) => x.includes("manifest.json")));
  await shot(page, "verify-phone-bad", PHONE);
}

async function checkMoved(page) {
  const copy = join(work, "moved"), folder = chain.replace(usb, copy);
  cpSync(usb, copy, { recursive: true });
  renameSync(batchFile(6, folder), batchFile(66, folder));
  await page.setInputFiles("#folder", copy);
  assert.ok((await result(page)).faults.some((x) => x.includes("không nằm đúng chỗ")));
}

async function checkOtherKey(page) {
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  await page.fill("#key-text", publicKey.export({ type: "spki", format: "pem" }));
  await page.setInputFiles("#folder", usb);
  const r = await result(page);
  assert.equal(r.kind, "bad");
  assert.ok(r.faults.every((x) => /được ký bằng khóa khác|manifest|bản tóm tắt/.test(x)), r.faults[0]);
  await page.fill("#key-text", readFileSync(join(site, "device.pub"), "utf8"));
}

async function checkProof(page) {
  await page.goto(pathToFileURL(option.page).href);
  await page.setInputFiles("#key-file", join(site, "device.pub"));
  await page.waitForFunction(() => document.querySelector("#key-text").value.includes("BEGIN"));
  await page.fill("#proof", digest.proof);
  let r = await result(page);
  assert.equal(r.kind, "good");
  assert.match(r.days[0], /chữ ký đúng; chưa có đủ các gói/);
  await page.fill("#proof", digest.proof.replace("gw-01", "gw-02"));
  r = await result(page);
  assert.match(r.faults[0], /không được ký cho thiết bị và ngày/);
  const last = digest.proof.at(-1);
  await page.fill("#proof", digest.proof.slice(0, -1) + (last === "0" ? "1" : "0"));
  assert.equal((await result(page)).kind, "bad");
}

// Every bit of a batch, checked by the page's own script within the browser; each must be refused.
async function checkBits(page, seq) {
  const bytes = spawnSync("zstd", ["-dcq", batchFile(seq)]).stdout;
  writeFileSync(join(work, "one.cose"), bytes);
  await page.setInputFiles("#files", join(work, "one.cose"));
  assert.equal((await result(page)).kind, "good");
  // one file for each flipped bit, all chosen at once
  const accepted = await page.evaluate(async (list) => {
    const original = Uint8Array.from(list), transfer = new DataTransfer();
    for (let bit = 0; bit < original.length * 8; bit++) {
      const b = original.slice();
      b[bit >> 3] ^= 1 << (bit & 7);
      transfer.items.add(new File([b], `${bit}.cose`));
    }
    const input = document.querySelector("#files");
    input.files = transfer.files;
    input.dispatchEvent(new Event("change"));
    return original.length * 8;
  }, [...bytes]);
  const r = await result(page);
  assert.equal(r.kind, "bad");
  assert.ok(r.banner.startsWith(`${accepted} lỗi`), r.banner);
  assert.equal(await page.locator("#batches li").count(), 0, "a batch with a flipped bit was accepted");
  return accepted;
}

async function main() {
  const context = await chromium.launchPersistentContext(join(work, "profile"), {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, viewport: PHONE, locale: "vi-VN",
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
  const seen = [];
  try {
    await context.setOffline(true);
    const page = context.pages()[0] ?? (await context.newPage());
    page.on("request", (r) => r.url().startsWith("file:") || seen.push(r.url()));
    page.on("console", (m) => ["error", "warning"].includes(m.type()) && seen.push(m.text()));
    page.on("pageerror", (e) => seen.push(String(e)));
    await open(page);
    assert.equal(await page.locator("html").getAttribute("lang"), "vi");
    await checkGood(page);
    await checkMissing(page);
    await checkMoved(page);
    await checkOtherKey(page);
    await checkProof(page);
    await open(page);
    const bits = await checkBits(page, digest.sealed_in) + await checkBits(page, 2);
    assert.deepEqual(seen, []);
    console.log(`the page is well; ${bits} flipped bits refused; pictures in ${option.shots ?? "none kept"}`);
  } finally {
    await context.close();
  }
}

try {
  await main();
} finally {
  rmSync(work, { recursive: true, force: true });
}
