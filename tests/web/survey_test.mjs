// The survey's screen on the made-up site, whose result the real room reckons: the map says what the answer
// says, a share is shown where the gateway tells one and nowhere else, all of it without a pointer too; and a
// phone leads the walk with the position that its browser gives.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { accessible, BIN, DESKTOP, end, fitsScreen, go, nothingAmiss, open, PHONE, program, shot, signIn, speak, trust } from "./lib.mjs";

const HERE = { latitude: 14.82, longitude: 108.955, accuracy: 8 };
let site, url;

before(async () => {
  site = await program(join(BIN, "test-web-site"), [], { ready: /^(\/.*)$/ });
  url = `https://127.0.0.1:${site.said[0]}/`;
  trust(site.ready[1]);
});
after(end);

async function visit(size, language, more = {}, user = "technician") {
  const reader = await open(size, language, more), { page, seen } = reader;
  await signIn({ page, seen }, url, user, `a long ${user}`);
  seen.origin = url;
  await page.goto(`${url}#/network`);
  await page.locator("#to-survey").click();
  await page.locator(".screen.survey #map").waitFor();
  return reader;
}

const text = (of) => of.innerText();
const answer = (page) => page.evaluate(async () => {
  const to = (Math.floor(Date.now() / 86400e3) + 2) * 86400e3;
  return (await fetch(`/api/v1/survey.geojson?from=${to - 34 * 86400e3}&to=${to}`)).json();
});
const rectangles = async (page, of) => ((await page.locator(`#map .cell.${of}`).getAttribute("d")).match(/z/g) ?? []).length;

for (const [size, name] of [[PHONE, "phone"], [DESKTOP, "desktop"]]) {
  for (const language of ["vi", "en"]) {
    test(`the map fits a ${name}, ${language}, and can be used by all`, async () => {
      const { page, seen, context } = await visit(size, language, { colorScheme: size === DESKTOP && language === "en" ? "dark" : "light" });
      await fitsScreen(page, "survey");
      await accessible(page, `survey, ${name}, ${language}`);
      await shot(page, `survey-${name}-${language}`);
      await page.locator("#next").click();
      await page.locator("#closer").click();
      await shot(page, `survey-closer-${name}-${language}`);
      await page.locator("details summary").first().click();
      await fitsScreen(page, "survey, closer");
      if (size === PHONE && language === "vi") await accessible(page, "survey, closer, with the samples' table");
      await page.locator(".ranges button", { hasText: "VinaPhone" }).click();
      await page.locator("#result.wait").waitFor();
      await shot(page, `survey-few-${name}-${language}`);
      nothingAmiss(seen);
      await context.close();
    });
  }
}

test("the map has the cells, samples and counts of the answer, and the file is the answer", async () => {
  const { page, seen, context } = await visit(PHONE, "en"), data = await answer(page);
  const part = data.survey.parts.find((p) => p.operator === "45204"), cells = data.features.filter((f) => f.properties.kind === "cell");
  assert.ok(part.covered > 20 && part.visited > part.covered && part.visited_percent > 50, JSON.stringify(part));
  assert.equal(await rectangles(page, "covered"), part.covered);
  assert.equal(await rectangles(page, "visited"), part.visited - part.covered);
  assert.equal(await rectangles(page, "none"), part.all - part.visited);
  assert.equal(new Set(cells.map((c) => `${c.properties.row}/${c.properties.col}`)).size, part.all);
  const said = await text(page.locator("#result .sentence"));
  assert.equal(said.startsWith("Viettel (452 04), "), true);
  assert.match(said, new RegExp(`: ${part.covered} of ${part.visited} visited cells are covered \\(${part.covered_percent.toFixed(1)} %\\); ${part.visited} of ${part.all} cells were visited \\(${part.visited_percent.toFixed(1)} %\\)\\.$`));
  // north is up and east is right: the part apart lies in the east, and the ward is as high as it is by its degrees
  const [, , wide, tall] = (await page.locator("#map").getAttribute("viewBox")).split(" ").map(Number);
  assert.ok(Math.abs(wide / tall - (0.059 * 107.63) / (0.05 * 110.64)) < 0.03, `${wide} by ${tall}`);
  const bar = await page.locator(".scale path").boundingBox(), box = await page.locator("#map").boundingBox();
  const metres = Number(/(\d+)/.exec(await text(page.locator("#scale")))[1]) * (/km/.test(await text(page.locator("#scale"))) ? 1000 : 1);
  assert.ok(Math.abs((bar.width / box.width) * wide - metres) < 0.03 * metres, "the bar is as long as it says");
  const [file] = await Promise.all([page.waitForEvent("download"), page.locator("a[download]").click()]);
  assert.match(file.suggestedFilename(), /survey\.geojson$/);
  assert.deepEqual(JSON.parse(readFileSync(await file.path(), "utf8")), data);
  nothingAmiss(seen);
  await context.close();
});

test("where too few cells were visited there is no percentage anywhere, but how many are needed", async () => {
  const { page, seen, context } = await visit(PHONE, "en"), data = await answer(page);
  const part = data.survey.parts.find((p) => p.operator === "45202");
  assert.ok(part.visited > 0 && part.covered_percent === undefined, JSON.stringify(part));
  await page.locator(".ranges button", { hasText: "VinaPhone" }).click();
  await page.locator("#result").getByText("VinaPhone").waitFor();
  const whole = await text(page.locator("#screen")), row = await text(page.locator("#parts tr", { hasText: "VinaPhone" }));
  assert.doesNotMatch(await text(page.locator("#result")), /%/);
  assert.doesNotMatch(row, /%/);
  assert.match(row, /too few/);
  assert.equal((whole.match(/%/g) ?? []).length, 1, "that of the other operator alone, in the table");
  assert.match(await text(page.locator("#result")), new RegExp(`${part.visited} were visited, ${Math.ceil(part.all / 2)} of ${part.all} are needed`));
  nothingAmiss(seen);
  await context.close();
});

test("samples are told by a tap, by keys alone, and as a table", async () => {
  const { page, seen, context } = await visit(PHONE, "en"), data = await answer(page);
  const samples = data.features.filter((f) => f.properties.kind === "sample" && f.properties.operator === "45204");
  await page.locator("#next").focus();
  await page.keyboard.press("Enter");
  const first = await text(page.locator("#sample"));
  assert.match(first, /Viettel \(452 04\)/);
  assert.match(first, /5G \(SA\)/);
  assert.match(first, /-82 dBm/);
  assert.match(first, /from a phone's file/);
  await page.keyboard.press("Enter");
  await page.waitForFunction((was) => document.querySelector("#sample").innerText !== was, first);
  await page.locator("#before").press("Enter");
  await page.waitForFunction((was) => document.querySelector("#sample").innerText === was, first);
  // a tap on the last sample, by its place on the earth
  const at = samples.reduce((a, b) => (a.properties.time > b.properties.time ? a : b)), [lon, lat] = at.geometry.coordinates;
  const box = await page.locator("#map").boundingBox(), [left, top, wide] = (await page.locator("#map").getAttribute("viewBox")).split(" ").map(Number);
  const x = ((lon - 108.93) * 107630 - left) * (box.width / wide), y = ((14.845 - lat) * 110640 - top) * (box.width / wide);
  await page.locator("#map").click({ position: { x, y } });
  const told = await text(page.locator("#sample"));
  assert.match(told, new RegExp(`${lat.toFixed(5)}, ${lon.toFixed(5)}`));
  assert.ok(at.properties.rsrp === undefined || told.includes(`${at.properties.rsrp} dBm`), told);
  await page.locator("details summary").click();
  assert.equal(await page.locator("details tbody tr").count(), 100);
  assert.match(await page.locator("#map").getAttribute("aria-label"), /^Map of the ward's cells, Viettel.* covered, .* visited, .* in all; \d+ samples\.$/);
  // the other day of this operator lies behind a longer time
  await page.locator(".ranges button", { hasText: "1 year" }).click();
  await page.waitForFunction(() => document.querySelectorAll("#date option").length === 2);
  await page.locator("#date").selectOption({ index: 1 });
  await page.waitForFunction(() => /300 samples/.test(document.querySelector("#map").getAttribute("aria-label")));
  nothingAmiss(seen);
  await context.close();
});

// ---- this phone's position -------------------------------------------------------------------------

const says = (page, words) => page.locator("#here-says").getByText(words).waitFor().catch(async (e) => {
  throw new Error(`"${words}" does not come, but "${await text(page.locator("#here-says"))}"`, { cause: e });
});

test("a phone's position leads the walk while gpsd has none, and is refused when it is too rough", async () => {
  const { page, seen, context } = await visit(PHONE, "en", { permissions: ["geolocation"], geolocation: HERE });
  const bodies = [];
  page.on("request", (r) => r.url().endsWith("/position") && bodies.push(r.postDataJSON()));
  await says(page, "This phone does not tell where it is.");
  assert.deepEqual(bodies, [], "nothing is told before somebody says so");
  await page.locator("#here").click();
  await says(page, "In use: this phone's position, ± 8 m.");
  assert.equal(await page.locator("#here").getAttribute("aria-pressed"), "true");
  assert.deepEqual([bodies[0].lat, bodies[0].lon, bodies[0].accuracy_m], [HERE.latitude, HERE.longitude, HERE.accuracy]);
  assert.ok(bodies[0].age_ms >= 0 && bodies[0].age_ms < 10000 && bodies[0].stamp_ms > 1e12, JSON.stringify(bodies[0]));
  await fitsScreen(page, "survey with a phone");
  await accessible(page, "survey with a phone");
  await shot(page, "survey-here-phone-en");
  site.child.stdin.write("gps\n");
  await context.setGeolocation({ ...HERE, latitude: 14.821 });
  await says(page, "The gateway's receiver has a fix and comes first");
  seen.quiet = true; // the browser tells each refusal
  await context.setGeolocation({ ...HERE, accuracy: 1500 });
  await says(page, "too rough for a cell");
  await page.locator("#here").click();
  await says(page, "This phone does not tell where it is.");
  const then = bodies.length;
  await context.setGeolocation({ ...HERE, latitude: 14.822 });
  await page.waitForTimeout(3500); // longer than from one to the next
  assert.equal(bodies.length, then, "nothing is told behind that");
  seen.quiet = false;
  nothingAmiss(seen);
  await context.close();
});

test("no right, no permission, no secure page, another phone: each has its words", async () => {
  const reader = await visit(PHONE, "vi", {}, "viewer");
  assert.equal(await reader.page.locator("#here").count(), 0);
  await reader.page.getByText("cần quyền kỹ thuật viên").waitFor();
  await reader.context.close();
  const denied = await visit(PHONE, "en"); // Chromium refuses what nobody allowed
  await denied.page.locator("#here").click();
  await says(denied.page, "This browser may not tell its position");
  assert.equal(await denied.page.locator("#here").getAttribute("aria-pressed"), "false");
  await speak(denied.page, "vi");
  await says(denied.page, "Trình duyệt không được phép báo vị trí");
  await denied.context.close();
  const plain = await open(PHONE, "en");
  await plain.page.addInitScript(() => Object.defineProperty(window, "isSecureContext", { value: false }));
  await signIn(plain, url, "technician", "a long technician");
  await plain.page.goto(`${url}#/survey`);
  await plain.page.locator("#here").click();
  await says(plain.page, "only to pages with https");
  await plain.context.close();
  const one = await visit(PHONE, "en", { permissions: ["geolocation"], geolocation: HERE });
  await one.page.locator("#here").click();
  // the turn of the phone of before ends ten seconds behind its last fix: one that walks has another then
  let north = 0;
  const walk = setInterval(() => void one.context.setGeolocation({ ...HERE, latitude: HERE.latitude + 1e-5 * north++ }), 1000);
  await says(one.page, "The gateway's receiver has a fix").finally(() => { clearInterval(walk); });
  const two = await visit(PHONE, "en", { permissions: ["geolocation"], geolocation: HERE }, "administrator");
  two.seen.quiet = true;
  await two.page.locator("#here").click();
  await says(two.page, "Another phone leads the walk now.");
  await one.context.close();
  await two.context.close();
});

test("an answer that fails, and one without samples, have words; a name that is HTML is text", async () => {
  const { page, seen, context } = await visit(PHONE, "en");
  seen.quiet = true;
  await page.route("**/api/v1/survey.geojson?*", (r) => r.fulfill({ status: 503, contentType: "application/problem+json", body: JSON.stringify({ code: "unavailable", detail: "it took longer than 60 s: <b>ask</b>" }) }));
  await page.locator(".ranges button", { hasText: "Today" }).click();
  await page.getByText("choose a shorter time").waitFor();
  await page.getByText("<b>ask</b>").waitFor();
  assert.equal(await page.locator("#screen b").count(), 0);
  await page.unroute("**/api/v1/survey.geojson?*");
  await page.getByText("No samples in this time.").waitFor();
  await fitsScreen(page, "survey without samples");
  await accessible(page, "survey without samples");
  await shot(page, "survey-empty-phone-en");
  await go(page, "survey?o=<img>&d=<img>&p=<img>");
  await page.locator("#result").waitFor();
  assert.equal(await page.locator("#screen img").count(), 0);
  await context.close();
});
