// Every screen on the made-up site (tests/gateway/web/site.h), which has every state that the page can
// show, at both sizes and in both languages. With FP_SHOTS=DIR the pictures are kept.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { accessible, BIN, DESKTOP, end, FIRST_LOAD_BYTES, fitsScreen, go, nothingAmiss, open, PHONE, program, shot, signIn, trust } from "./lib.mjs";

const SCREENS = { overview: "", devices: "devices", device: "device/meter-1", charts: "charts?s=meter-1/voltage_l1,air-1/pm25&r=1h",
  city: "city", network: "network", events: "events", about: "about", why: "why/air-1/pm25" };
const HOSTILE = '<img src=x onerror=alert(1)>" & </script>';
let site, url;

before(async () => {
  site = await program(join(BIN, "test-web-site"), [], { ready: /^(\/.*)$/ });
  url = `https://127.0.0.1:${site.said[0]}/`;
  trust(site.ready[1]);
});
after(end);

// One reader of each kind; those at a desk who read English have it dark. A gateway has room for so many
// connections from one address, and for four sessions of one user: who is done signs out and leaves.
const readers = new Map();
async function visit(size, language) {
  const key = `${size.width} ${language}`;
  if (readers.has(key)) return readers.get(key);
  const { page, seen, context } = await open(size, language, { colorScheme: size === DESKTOP && language === "en" ? "dark" : "light" });
  await signIn({ page, seen }, url, "administrator", "a long administrator");
  seen.origin = url;
  await page.goto(url);
  await page.locator(".screen.overview h2").first().waitFor();
  readers.set(key, { page, seen, context });
  return readers.get(key);
}

async function leave(size, language) {
  const key = `${size.width} ${language}`;
  const { page, context } = readers.get(key);
  await page.evaluate(async () => {
    const { csrf } = await fetch("/api/v1/session").then((a) => a.json());
    await fetch("/api/v1/session", { method: "DELETE", headers: { "X-CSRF-Token": csrf } });
  });
  await context.close();
  readers.delete(key);
}

const point = (page, series) => page.locator(`#screen [data-series="${series}"]`).first();
const text = (of) => of.textContent();

test("values have unit, quality and age in the reader's language, and old ones are struck through", async () => {
  const { page, seen } = await visit(PHONE, "vi");
  assert.equal(await text(page.locator("#site")), "UBND phường Trà Câu");
  await go(page, "devices");
  const volt = point(page, "meter-1/voltage_l1"), weight = point(page, "bin-1/weight");
  await volt.waitFor();
  assert.equal(await text(volt.locator(".value")), "230,1 V");
  assert.match(await text(volt.locator(".age")), /^\d+ giây trước$/); // this test is the first: they age
  assert.equal(await text(volt.locator(".quality")), "tốt");
  assert.equal(await volt.locator("s").count(), 0);
  assert.equal(await text(point(page, "air-1/pm25").locator(".value")), "1.234,5 µg/m³");
  assert.equal(await text(point(page, "air-1/pm25").locator(".quality")), "ngoài giới hạn");
  assert.equal(await text(weight.locator("s")), "41,3");
  assert.match(await text(weight.locator(".age")), /^cũ: 1\d phút trước$/);
  assert.match(await text(weight.locator(".quality")), /^không đo được/);
  await page.locator("#language").focus();
  await page.keyboard.press("Enter");
  await page.locator("html[lang=en]").waitFor();
  assert.equal(await text(volt.locator(".value")), "230.1 V");
  await page.reload();
  await volt.waitFor();
  assert.equal(await page.locator("html").getAttribute("lang"), "en", "the choice is remembered");
  await page.locator("#language").click();
  await page.locator("html[lang=vi]").waitFor();
  nothingAmiss(seen);
});

for (const [size, name] of [[PHONE, "phone"], [DESKTOP, "desktop"]]) {
  for (const language of ["vi", "en"]) {
    test(`every screen fits a ${name}, ${language}, complains of nothing and can be used by all`, async () => {
      const { page, seen } = await visit(size, language);
      assert.equal(await page.locator("html").getAttribute("lang"), language);
      for (const [screen, hash] of Object.entries(SCREENS)) {
        await go(page, hash);
        await page.locator(`.screen.${screen}`).waitFor();
        if (["charts", "device", "why"].includes(screen)) await page.locator("canvas").first().waitFor();
        if (screen === "events") await page.locator(".event").first().waitFor();
        await fitsScreen(page, screen);
        await accessible(page, `${screen}, ${name}, ${language}`);
        await shot(page, `${screen}-${name}-${language}`);
        await page.evaluate(() => window.scrollTo(0, 0));
      }
      nothingAmiss(seen);
      if (size === DESKTOP || language === "en") await leave(size, language);
    });
  }
}

test("a name that is HTML is shown as what it is, on every screen", async () => {
  const { page, seen } = await visit(PHONE, "vi");
  await go(page, "devices");
  assert.equal(await text(page.locator("#device-odd-1 h3")), HOSTILE);
  for (const hash of ["", "devices", "network", "device/odd-1", "why/odd-1/raw", "charts?s=odd-1/raw", "events", `device/${encodeURIComponent(HOSTILE)}`]) {
    await go(page, hash);
    await page.waitForFunction((h) => document.querySelector(".screen")?.textContent.length > 0 && location.hash === h, `#/${hash}`);
    assert.equal(await page.locator("#screen img:not(.code), #screen script, #screen iframe").count(), 0, hash);
  }
  await go(page, "events");
  await page.getByText(HOSTILE).first().waitFor();
  nothingAmiss(seen);
});

test("the line doctor's words stand at its bus", async () => {
  const { page } = await visit(PHONE, "vi");
  await go(page, "devices");
  const line = page.locator('section[aria-labelledby="bus-rs485-1"] .banner');
  await line.waitFor();
  assert.match(await text(line.locator("b")), /^Chỉ vài thiết bị trả lời hỏng/);
  assert.match(await text(line.locator("[lang=en]")), /^Only these/);
});

test("what a modem says by number stands there in words, each cell by itself", async () => {
  const { page, seen } = await visit(PHONE, "vi");
  await go(page, "network");
  const said = async (series) => text(point(page, `modem/${series}`).locator(".value"));
  await point(page, "modem/technology").waitFor();
  assert.equal(await said("state"), "đã vào mạng");
  assert.equal(await said("registration"), "mạng nhà");
  assert.equal(await said("technology"), "4G và 5G (EN-DC)");
  assert.equal(await said("operator"), "Viettel (452 04)");
  assert.equal(await said("nr_rsrp"), "-104,0 dBm");
  assert.equal(await point(page, "modem/nr_cell").count(), 0, "what the modem does not say is left out");
  assert.deepEqual(await page.locator("#screen h3").allTextContents(), ["Trạm gốc LTE (4G)", "Trạm gốc 5G", "Ra internet", "Khảo sát 5G", "Nơi nhận city"]);
  assert.match(await text(page.locator("#screen .banner.good")), /^Thành phố nhận được/);
  nothingAmiss(seen);
});

test("all can be reached by keyboard alone, and one sees where one is", async () => {
  const { page } = await visit(DESKTOP, "en");
  for (const [screen, hash] of Object.entries(SCREENS)) {
    await go(page, hash);
    await page.locator(`.screen.${screen}`).waitFor();
    if (["charts", "device", "why"].includes(screen)) await page.locator("canvas").first().waitFor();
    const all = await page.evaluate(() => {
      document.activeElement.blur();
      window.scrollTo(0, 0);
      const is = [...document.querySelectorAll("a[href], button, select, input, summary")].filter((e) => e.checkVisibility());
      is.forEach((e, i) => { e.nth = i; });
      return is.length;
    });
    const reached = new Set();
    for (let i = 0; i < all + 3 && reached.size < all; i++) {
      await page.keyboard.press("Tab");
      const [nth, outline] = await page.evaluate(() => [document.activeElement.nth, getComputedStyle(document.activeElement).outlineStyle]);
      if (nth === undefined) continue;
      assert.equal(outline, "solid", `${screen}: where is it?`);
      reached.add(nth);
    }
    assert.equal(reached.size, all, `${screen}: what Tab reaches`);
  }
  await go(page, "charts?s=meter-1/voltage_l1&r=1h");
  await page.locator(".ranges button", { hasText: "6 h" }).focus();
  await page.keyboard.press("Space");
  await page.waitForFunction(() => location.hash.includes("r=6h") && document.activeElement.getAttribute("aria-pressed") === "true");
  await page.locator("#bar a").nth(1).focus();
  await page.keyboard.press("Enter");
  await page.locator(".screen.devices h1").waitFor();
  await page.waitForFunction(() => document.activeElement.localName === "h1");
  for (let i = 0; i < 40 && !(await page.evaluate(() => document.activeElement.matches('[data-series="meter-1/voltage_l1"] a'))); i++) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.locator(".screen.why").waitFor();
  assert.equal(await text(page.locator(".screen.why h1")), "Voltage (voltage_l1)");
  await leave(DESKTOP, "en");
});

// What a screen reader says of them.
test("a value, a device, a picture and what one presses have names that say all", async () => {
  const { page } = await visit(PHONE, "vi");
  await go(page, "devices");
  await page.getByRole("link", { name: /^Điện áp \(voltage_l1\) 230,1 V tốt (cũ: )?\d+ (giây|phút) trước$/ }).waitFor();
  await page.getByRole("link", { name: /^Khối lượng 41,3 kg không đo được.* cũ: 1\d phút trước$/ }).waitFor();
  await page.getByRole("link", { name: /^Thùng rác thực phẩm .*Không trả lời$/ }).waitFor();
  await page.getByRole("navigation", { name: "Các trang" }).getByRole("link", { name: "Biểu đồ" }).waitFor();
  await go(page, "charts?s=meter-1/voltage_l1&r=1h");
  await page.getByRole("img", { name: /^Điện áp \(voltage_l1\) · Công tơ tầng 1: .*230,1/ }).waitFor();
  for (const [screen, hash] of Object.entries(SCREENS)) {
    await go(page, hash);
    await page.locator(`.screen.${screen}`).waitFor();
    const tree = await page.locator("body").ariaSnapshot();
    assert.doesNotMatch(tree, /- (link|button|img|combobox|searchbox|textbox)(:| \[|$)/m, `${screen}: one without a name`);
    assert.equal((tree.match(/\[level=1\]/g) ?? []).length, 1, `${screen}: one heading above all`);
  }
});

const RANGE_HOURS = { "1h": 1, "6h": 6, "24h": 24, "7d": 168, "30d": 720, "1y": 8760, "5y": 43824 };

test("a chart goes from an hour to years, draws a gap as a gap and says why, and a band from lowest to highest", async () => {
  const { page, seen } = await visit(PHONE, "vi");
  // The columns are made up, as the gateway would give them: 200 around 230, a gap from 0.4 to 0.6 of the way.
  await page.route("**/api/v1/chart?*", (route) => {
    const q = new URL(route.request().url()).searchParams, n = Number(q.get("points")), from = Number(q.get("from")), to = Number(q.get("to"));
    const series = q.get("series"), column = (of) => Array.from({ length: n }, (_, i) => (none(i) ? null : of(i)));
    const none = (i) => (i >= 0.4 * n && i < 0.6 * n) || (series.endsWith("/pm25") && i % 11 !== 1) || (series.endsWith("/temperature") && i !== n / 4);
    const mean = (i) => (series.endsWith("l1") ? 230 : 245) + 3 * Math.sin(i / 9);
    void route.fulfill({ json: { series, quantity: "voltage", unit: "V", source: "readings", from_ms: from, step_ms: Math.round((to - from) / n),
      count: column(() => 4).map((c) => c ?? 0), good: column(() => 4).map((c) => c ?? 0), min: column((i) => mean(i) - 4), mean: column(mean), max: column((i) => mean(i) + 4),
      gaps: [{ from_ms: Math.round(from + 0.4 * (to - from)), to_ms: Math.round(from + 0.6 * (to - from)), cause: "device" }], gaps_cut: false } });
  });
  await page.reload(); // it keeps answers for a while
  await page.locator("#screen h1").waitFor();
  await go(page, "charts?s=meter-1/voltage_l1,meter-1/voltage_l2&r=1h");
  for (const [range, hours] of Object.entries(RANGE_HOURS)) {
    const button = page.locator(".ranges button").nth(Object.keys(RANGE_HOURS).indexOf(range));
    if (range !== "1h") {
      await Promise.all([button.click(), page.waitForRequest((r) => {
        const q = new URL(r.url()).searchParams;
        return r.url().includes("/chart?") && Math.abs((q.get("to") - q.get("from")) / 3600e3 - hours) < 0.001;
      })]);
    }
    assert.equal(await button.getAttribute("aria-pressed"), "true");
  }
  await page.locator(".ranges button").first().click();
  await page.locator("canvas").waitFor();
  assert.equal(await page.locator(".legend").count(), 2);
  const drawn = (nth) => page.evaluate((which) => { // of each column: how many pixels are the band or the line, and how many the gap's grey
    const canvas = document.querySelectorAll(".plot canvas")[which], over = document.querySelectorAll(".u-over")[which].getBoundingClientRect(), own = canvas.getBoundingClientRect();
    const ratio = canvas.width / own.width, left = Math.round((over.left - own.left) * ratio), width = Math.round(over.width * ratio);
    const top = Math.round((over.top - own.top) * ratio), height = Math.round(over.height * ratio);
    const { data } = canvas.getContext("2d").getImageData(left, top, width, height), columns = [];
    for (let x = 0; x < width; x++) {
      let blue = 0, grey = 0;
      for (let y = 0; y < height; y++) {
        const [r, g, b, a] = data.subarray(4 * (y * width + x), 4 * (y * width + x) + 4);
        if (a > 20 && Math.max(r, g, b) - Math.min(r, g, b) > 40) blue++;
        else if (a > 20) grey++;
      }
      columns.push([blue, grey]);
    }
    return { columns, height };
  }, nth);
  await page.waitForFunction(() => document.querySelector(".said")?.textContent.includes("V"));
  const { columns, height } = await drawn(0), part = (from, to) => columns.slice(Math.round(from * columns.length), Math.round(to * columns.length));
  assert.ok(part(0.42, 0.58).every(([c, grey]) => c === 0 && grey > 0.8 * height), "a gap has a colour of its own, and nothing is drawn through it");
  for (const [c, grey] of [...part(0.02, 0.38), ...part(0.62, 0.98)]) assert.ok(c > height / 8 && grey < height, `a band as wide as lowest to highest: ${c} of ${height}`);
  assert.match(await text(page.locator(".said").first()), /: 2\d\d,\d \(2\d\d,\d – 2\d\d,\d\) V Vì sao có số này\?$/);
  await page.locator(".gaps summary").click();
  assert.match(await text(page.locator(".gaps li").first()), /^Thiết bị không trả lời đúng .*\(12 phút\)/);
  // One that is read each minute, of which some fail, has none in most columns: the line goes on, but not through the gap.
  // One that was read once is seen.
  await go(page, "charts?s=air-1/pm25,air-1/temperature&r=1h");
  await page.waitForFunction(() => document.querySelectorAll(".plot canvas").length === 2 && [...document.querySelectorAll(".said")].every((s) => /\d /.test(s.textContent)));
  const slow = (await drawn(0)).columns, once = (await drawn(1)).columns, coloured = (of) => of.filter(([c]) => c > 0).length / of.length;
  assert.ok(coloured(slow.slice(0.02 * slow.length, 0.37 * slow.length)) === 1 && coloured(slow.slice(0.43 * slow.length, 0.58 * slow.length)) === 0, "a slow line");
  assert.ok(coloured(once) > 0.005 && coloured(once) < 0.1, `one reading: ${coloured(once)}`);
  await page.unroute("**/api/v1/chart?*");
  await page.reload();
  const [file] = await Promise.all([page.waitForEvent("download"), page.locator("a[download]").first().click()]);
  assert.match(file.suggestedFilename(), /\.csv$/);
  assert.match(readFileSync(await file.path(), "utf8"), /^series,unit,from,from_ms,to_ms,count,good,min,mean,max,gap\r\nair-1\/pm25,ug\/m3,/);
  nothingAmiss(seen);
});

test("two fingers zoom a chart", async () => {
  const { page, seen, context } = await visit(PHONE, "vi");
  await go(page, "charts?s=meter-1/voltage_l1&r=24h");
  await page.locator(".u-over").evaluate((e) => e.scrollIntoView({ block: "center" }));
  const box = await page.locator(".u-over").boundingBox(), cdp = await context.newCDPSession(page), y = box.y + box.height / 2;
  const touch = (type, ...x) => cdp.send("Input.dispatchTouchEvent", { type, touchPoints: x.map((at, id) => ({ x: box.x + at, y, id })) });
  await touch("touchStart", 100, 140);
  await touch("touchMove", 60, 180);
  await touch("touchMove", 30, 220);
  await touch("touchEnd");
  await page.waitForFunction(() => location.hash.includes("from="));
  const q = new URLSearchParams(new URL(page.url()).hash.split("?")[1]), hours = (q.get("to") - q.get("from")) / 3600e3;
  assert.ok(hours > 2 && hours < 8, `the fingers went from 40 to 190 px: a fifth of 24 h, and it is ${hours} h`);
  nothingAmiss(seen);
});

test("the first load is small, and asks for nothing twice", async () => {
  const { page, seen, context } = await open(PHONE, "vi");
  await signIn({ page, seen }, url, "administrator", "a long administrator");
  const cdp = await context.newCDPSession(page), came = new Map();
  await cdp.send("Network.enable");
  cdp.on("Network.loadingFinished", (e) => came.set(e.requestId, e.encodedDataLength));
  await page.goto(url);
  await page.locator(".screen.overview h2").first().waitFor();
  const bytes = [...came.values()].reduce((a, b) => a + b, 0);
  console.log(`web.first_load_kb ${(bytes / 1000).toFixed(1)} kB in ${came.size} answers`);
  assert.ok(came.size > 10 && bytes < FIRST_LOAD_BYTES, `${bytes} bytes`);
  const again = [], kept = new Set();
  cdp.on("Network.requestServedFromCache", (e) => kept.add(e.requestId));
  cdp.on("Network.responseReceived", (e) => e.response.url.includes("/a/") && !e.response.fromDiskCache && again.push([e.requestId, e.response.url]));
  await page.reload();
  await page.locator(".screen.overview h2").first().waitFor();
  assert.deepEqual(again.filter(([id]) => !kept.has(id)), [], "came from the network again");
  await context.close();
});

test("on paper stands the value and all behind it, and no button", async () => {
  const { page } = await visit(PHONE, "vi");
  await go(page, "why/air-1/pm25");
  await page.locator("canvas").waitFor();
  await page.emulateMedia({ media: "print" });
  for (const hidden of ["#bar", "#language", ".ranges", "button"]) {
    assert.equal(await page.locator(hidden).filter({ visible: true }).count(), 0, hidden);
  }
  assert.match(await text(page.locator(".printed")), /^In lúc \d\d\/\d\d\/\d{4} \d\d:\d\d:\d\d tại UBND phường Trà Câu, thiết bị Trạm khí cổng chợ\.$/);
  await accessible(page, "on paper");
  await shot(page, "paper-phone-vi");
  assert.ok((await page.pdf({ format: "A4" })).length > 10000);
  await page.emulateMedia({ media: "screen" });
});

test("an age counts on between two answers", async () => { // the last: it keeps the page waiting
  const { page } = await visit(PHONE, "vi"), series = "bin-1/weight";
  await go(page, "devices");
  site.child.stdin.write("mend\n"); // it was measured just now
  await point(page, series).locator(".age").getByText(/^\d+ giây trước$/).waitFor();
  await page.route("**/api/v1/**", () => {}); // no answer comes any more
  const then = Number(/\d+/.exec(await text(point(page, series).locator(".age")))[0]);
  await page.waitForFunction(([of, least]) => Number(/\d+/.exec(document.querySelector(`[data-series="${of}"] .age`).textContent)[0]) >= least,
    [series, then + 3], { timeout: 7000 });
});
