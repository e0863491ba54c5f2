// What the page makes of answers that no made-up site gives at once: every sentence of the table, texts
// that are HTML wherever the gateway has a text, a gateway without anything, names without end, and a
// phone whose clock is set. The gateway and its answers are real; what differs is put in on their way.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { accessible, BIN, DESKTOP, end, fitsScreen, go, nothingAmiss, open, PHONE, program, shot, signIn, speak, trust } from "./lib.mjs";

const ROOT = join(import.meta.dirname, "../.."), HOSTILE = '<img src=x onerror=alert(1)>" & </script>';
const SCREENS = ["", "devices", "device/meter-1", "charts?s=meter-1/voltage_l1,air-1/pm25&r=1h", "city", "events", "about", "why/air-1/pm25"];
const WORDS = Object.fromEntries(["vi", "en"].map((l) => [l, JSON.parse(readFileSync(join(ROOT, `gateway/web/ui/lang/${l}.json`), "utf8"))]));
let site, url;

before(async () => {
  site = await program(join(BIN, "test-web-site"), [], { ready: /^(\/.*)$/ });
  url = `https://127.0.0.1:${site.said[0]}/`;
  trust(site.ready[1]);
});
after(end);

// A reader to whom the answer at /api/v1/NAME is what `changes[NAME]` makes of it: functions that stand
// alone, for they run in the page.
async function told(changes, size = PHONE, language = "vi") {
  const reader = await open(size, language), { page, seen } = reader;
  await page.addInitScript(`{
    ${Object.keys(changes).length ? "window.EventSource = class { static CLOSED = 2; addEventListener() {} close() {} }; // nor says anything else by itself" : ""}
    const changes = {${Object.entries(changes).map(([name, f]) => `${JSON.stringify(name)}: ${f}`).join(",\n")}}, real = window.fetch;
    window.fetch = async (path, options) => {
      const answer = await real(path, options), name = /\\/api\\/v1\\/([a-z]+)/.exec(String(path))?.[1];
      const change = answer.ok && (changes[name] ?? (name && name !== "session" && changes["*"]));
      if (!change) return answer;
      return new Response(JSON.stringify(change(await answer.json())), { status: answer.status, headers: { "Content-Type": "application/json" } });
    };
  }`);
  await signIn({ page, seen }, url, "administrator", "a long administrator");
  seen.origin = url;
  await page.goto(url);
  await page.locator(".screen.overview h2").first().waitFor();
  return reader;
}

async function at(page, hash) {
  await go(page, hash);
  await page.waitForFunction((h) => location.hash === h && document.querySelector("#screen h1") && !document.querySelector("#screen [role=status].quiet"), `#/${hash}`);
}

// ---- the first sentence ------------------------------------------------------------------------

// Twelve faults, less a SIM without data, which comes with the modem; tests/system/advice.py brings each
// about and shows that the gateway gives these codes and blanks.
const AT = { time: "07:05", date: "26/11" };
const FAULTS = [
  ["line_port", { bus: "hall", n: 2 }, "Bus hall is cut: there is no line to its 2 devices.", "Đứt đường hall: không nối được tới 2 thiết bị."],
  ["device_silent", { name: "Công tơ (cổng chợ)", ...AT }, "Công tơ (cổng chợ) does not answer since 07:05 on 26/11.", "Mất liên lạc với Công tơ (cổng chợ) từ 07:05 ngày 26/11."],
  ["word_order", { name: "m-3", order: "CDAB" }, "The values of m-3 are impossible: maybe the word order is wrong.", "Số đo của m-3 không thể có thật: có thể sai thứ tự từ (word order)."],
  ["city_down", { uplink: "city" }, "Nothing can be sent to the city (city) now.", "Mất liên lạc với thành phố (city): chưa gửi được số đo."],
  ["certificate_ended", { uplink: "city", date: "24/11" }, "The gateway's certificate for the city (city) ended on 24/11.", "Chứng thư của trạm với thành phố (city) đã hết hạn ngày 24/11."],
  ["clock_wrong", { time: "07:05", date: "26/11/2029" }, "The gateway's clock is wrong: it shows 07:05 on 26/11/2029.", "Đồng hồ của trạm sai: đang chỉ 07:05 ngày 26/11/2029."],
  ["disk_low", { percent: 3 }, "The gateway's disk is nearly full: 3 % are free.", "Ổ đĩa của trạm sắp đầy: chỉ còn trống 3 %."],
  ["sensor_stuck", { name: "Trạm khí", point: "air" }, "A sensor of Trạm khí is stuck: air has not changed for a long time.", "Cảm biến của Trạm khí bị đứng: air đã lâu không đổi."],
  ["power_cut", AT, "The power was cut; the gateway runs again since 07:05 on 26/11.", "Trạm đã bị mất điện; hoạt động lại từ 07:05 ngày 26/11."],
  ["overloaded", { bus: "yard", name: "m-3", n: 1234 }, "Bus yard cannot keep its periods: 1,234 polls of m-3 were left out.", "Đường yard đọc không kịp: đã bỏ 1.234 lượt đo của m-3."],
  ["enrol_missing", {}, "The city does not know this gateway yet.", "Trạm chưa đăng ký với thành phố."],
];

test("each fault's sentence is shown as it stands, in both languages, and then what to do", async () => {
  const codes = [...readFileSync(join(ROOT, "gateway/web/advice.def"), "utf8").matchAll(/^ADVICE\((\w+), (\w+)\)/gm)];
  assert.ok(codes.length > 50);
  const literal = new Map(FAULTS.map((f) => [f[0], f])), params = Object.fromEntries([...JSON.stringify(WORDS.en).matchAll(/\{(\w+)\}/g)]
    .map(([, name]) => [name, ["n", "percent"].includes(name) ? 1234 : `${name} ${HOSTILE}`]));
  const pieces = codes.map(([, code, level]) => ({ code, level: level.toLowerCase(), params: literal.get(code)?.[1] ?? params }));
  const { page, seen, context } = await told({ advice: `() => (${JSON.stringify({ ...pieces[0], more: pieces.slice(1), left_off: 0 })})` });
  for (const language of ["vi", "en"]) {
    await speak(page, language);
    const shown = await page.locator(".banner .sentence").allTextContents(), next = await page.locator(".banner .sentence + p").allTextContents();
    const say = (key, of) => WORDS[language][key].replace(/\{(\w+)\}/g, (_, name) => (typeof of[name] === "number" && of[name] > 999
      ? (language === "vi" ? "1.234" : "1,234") : of[name]));
    assert.deepEqual(shown, pieces.map((p) => say(`advice.${p.code}`, p.params)));
    assert.deepEqual(next, pieces.map((p) => say(`advice.${p.code}.next`, p.params)));
    for (const [, , en, vi] of FAULTS) assert.ok(shown.includes(language === "vi" ? vi : en), en);
    await page.locator(".others summary").click();
    await fitsScreen(page, `every sentence, ${language}`);
    await page.locator(".others summary").click();
  }
  nothingAmiss(seen);
  await context.close();
});

// ---- alarms ------------------------------------------------------------------------------------

test("alarms stand first, those that nobody knows of before the others, with value, age and who", async () => {
  const one = (id, state, more) => ({ id, series: `river/${id}`, state, severity: "error", text: { vi: `${id} ${HOSTILE}`, en: null }, when: "rain_1h",
    limit: 50, clear: 20, unit: "mm", decimals: 1, value: 52.3, t_ms: 1764200000000, age_ms: 4000, since_ms: state === "blind" ? 0 : 1764200000000,
    acknowledged_ms: 0, acknowledged_by: null, ...more });
  const all = [one("dark", "blind", { value: null, age_ms: null, t_ms: null }), one("known", "acknowledged", { acknowledged_ms: 1764200060000,
    acknowledged_by: HOSTILE }), one("lost", "unknown"), one("quiet", "quiet", { since_ms: 0 }), one("storm", "raised")];
  const { page, seen, context } = await told({ status: `(s) => ({ ...s, alarms: 5 })`, alarms: `(a) => ({ ...a, alarms: ${JSON.stringify(all)} })` });
  await page.locator("#alarm-storm").waitFor();
  const banners = await page.locator(".screen > div > .banner").evaluateAll((list) => list.map((b) => b.id));
  assert.deepEqual(banners.slice(0, 5), ["alarm-storm", "alarm-lost", "alarm-known", "alarm-dark", ""]);
  for (const [size, name] of [[PHONE, "phone"], [DESKTOP, "desktop"]]) {
    await page.setViewportSize(size);
    for (const language of ["vi", "en"]) {
      await speak(page, language);
      await fitsScreen(page, `alarms, ${name}, ${language}`);
      await shot(page, `alarms-${name}-${language}`);
    }
  }
  const text = async (id) => page.locator(`#alarm-${id}`).innerText();
  assert.match(await text("storm"), /52\.3\smm \(\d+ s ago\)/);
  assert.ok((await text("known")).includes(HOSTILE) && (await text("dark")).includes(WORDS.en["alarm.no_value"]));
  assert.equal(await page.locator("#screen img").count(), 0);
  assert.deepEqual(await Promise.all(["storm", "lost", "known", "dark"].map((id) => page.locator(`#alarm-${id} button`).count())), [1, 1, 0, 0]);
  nothingAmiss(seen);
  await context.close();
});

// ---- texts that are HTML -----------------------------------------------------------------------

test("a text of the gateway is text wherever it stands: name, place, unit, profile, note, event, library", async () => {
  const hostile = `function spoil(v, key) {
    const keep = ["id", "device", "point", "quantity", "bus", "state", "missing", "severity", "clock", "kind", "level", "day", "code", "cause", "language"];
    if (typeof v === "string") return keep.includes(key) ? v : v + ${JSON.stringify(HOSTILE)};
    if (Array.isArray(v)) return v.map((x) => spoil(x, key === "registers" ? "registers" : ""));
    return v && typeof v === "object" ? Object.fromEntries(Object.entries(v).map(([k, x]) => [k, spoil(x, k)])) : v;
  }`;
  const { page, seen, context } = await told({ "*": hostile });
  for (const hash of SCREENS) {
    await at(page, hash);
    await page.locator("#screen, #head").getByText(HOSTILE).first().waitFor();
    for (const summary of await page.locator("#screen summary").all()) await summary.click();
    assert.equal(await page.locator("#screen img:not(.code), #screen script, #screen iframe, #head img").count(), 0, hash);
    const unit = hash.startsWith("why") || hash.startsWith("device");
    if (unit) assert.equal(await page.locator(".unit").first().textContent().then((u) => u.endsWith(HOSTILE)), true, `unit, ${hash}`);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), `${hash} is too wide`);
  }
  nothingAmiss(seen);
  await context.close();
});

// ---- what is not there -------------------------------------------------------------------------

const NOTHING = {
  status: (s) => ({ ...s, buses: [], devices: [], uplinks: [], store: { ...s.store, batches_unsent: 0, batches_held: 0, days_held: null, last_commit_ms: 0 } }),
  series: (s) => ({ ...s, series: [], quantities: {} }), events: () => ({ events: [] }),
  city: (c) => ({ ...c, uplinks: [], chain: null, refused: [], voided: [], digest: null }),
  advice: () => ({ code: "no_uplink", level: "look", params: {}, more: [], left_off: 0 }),
};
const YET = { // devices that have not said anything yet
  status: (s) => ({ ...s, devices: s.devices.map((d) => ({ ...d, state: "never", text: "", says: "", heard: null, polls: 0, failures: 0, answer_ms: 0 })),
    buses: s.buses.map((b) => ({ ...b, answering: 0, state: "never", findings: [], polls: 0 })) }),
  series: (s) => ({ ...s, series: s.series.map(({ t_ms, age_ms, q, ...p }) => ({ ...p, value: null, missing: null })) }),
  chart: (c) => ({ ...c, ...Object.fromEntries(["count", "good"].map((k) => [k, c[k].map(() => 0)])),
    ...Object.fromEntries(["min", "mean", "max"].map((k) => [k, c[k].map(() => null)])), gaps: [] }),
  why: ({ point: { t_ms, age_ms, q, raw, ...p }, ...w }) => ({ ...w, point: { ...p, value: null, missing: null, raw: null }, batch: null, last_batch: null, calibration: null, humidity: null }),
};
const LONG = { // as long as a name may be, and without a place to break it
  status: (s) => ({ ...s, site: { ...s.site, name: "Uỷ ban nhân dân phường Trà Câu, thị xã Đức Phổ, tỉnh Quảng Ngãi" },
    buses: s.buses.map((b) => ({ ...b, line: "modbus-rtu 115200 8N1 ".repeat(3).trim(), planned_load: 1.234, lost_ms: 98765432, overruns: 123456, ticks: 9876543 })),
    devices: s.devices.map((d) => ({ ...d, name: "W".repeat(64), place: "Quang".repeat(20), serial: "0".repeat(40), address: `${"a".repeat(60)}:65535 unit 247`,
      model: "Model".repeat(13), text: "x".repeat(190), says: "y".repeat(150), state: "faulty" })) }),
  series: (s) => ({ ...s, series: s.series.map((p) => ({ ...p, value: -1234567890.123, unit: "ug/m3", q: 255, missing: "device" })) }),
};

const TROUBLE = { // all that can be said of the city, and of a gateway that is not well
  status: (s) => ({ ...s, clock: "unknown", devices: s.devices.map((d) => ({ ...d, state: "silent", text: "No answer for 2 h: check its power and its wires." })),
    store: { ...s.store, thinned: 12, queue_dropped: 345, batches_unsent: 8640, readings_waiting: 12345, days_held: 59.7, days_of_autonomy: 1.24, measured_over_hours: 5 },
    flash: { ...s.flash, life_used_percent_a: 80 },
    uplinks: s.uplinks.map((u) => ({ ...u, online: false, text: "https://city.example:8443: connection refused: check the network and ask the city." })) }),
  city: (c) => {
    const chain = "ab01020304050607", t = c.now_ms, batch = (seq, kind) => ({ chain, seq, at_ms: t - seq * 300000, kind, from_ms: t - (seq + 1) * 300000, to_ms: t - seq * 300000, readings: 1234 });
    return { ...c, uplinks: c.uplinks.map((u) => ({ ...u, online: false, text: "https://city.example:8443: connection refused: check the network and ask the city.",
      unsent: { batches: 8640, readings: 1234567 }, today: { day: "2026-11-26", from_ms: t - 3600000, batches: 288, batches_acknowledged: 100, readings: 8640, readings_acknowledged: 3000 },
      data: { ...u.data, metered: true, budget_bytes: 5e8, month_bytes: 4.9e8, left_bytes: 1e7, renews_ms: t + 864e6 },
      certificate: { ends_ms: t + 864e6, days_left: 10, text: "The certificate could not be renewed: the city answered 503." }, trust: { notice: 3, ends_ms: t + 864e7, text: "" },
      receipt: batch(1, "data"), receipts: [batch(1, "data"), batch(2, "control")] })),
    refused: [{ chain, seq: 77, readings: 1234, at_ms: t, code: "bad_signature" }],
    voided: [{ chain, seq_from: 5, seq_to: 9, cause: "thinned", said_in: 10 }, { chain, seq_from: 3, seq_to: 3, cause: "lost", said_in: 4 }],
    digest: { day: "2026-11-25", chain, seq_from: 1, seq_to: 288, readings: 345678, gaps: 3, sha256: "0123456789abcdef".repeat(4), key: chain, sealed_chain: chain, sealed_in: 289, proof: "FP1:" } };
  },
};

for (const [what, changes] of Object.entries({ "without anything": NOTHING, "of the first minute": YET, "with names without end": LONG, "in trouble": TROUBLE })) {
  test(`a gateway ${what}: every screen has words for it, in both languages`, async () => {
    const { page, seen, context } = await told(changes);
    await page.route("**/api/v1/digest.svg?*", (r) => r.fulfill({ contentType: "image/svg+xml", body: '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path d="M0 0h8v8z"/></svg>' }));
    for (const [size, language] of [[PHONE, "vi"], [DESKTOP, "en"]]) {
      await page.setViewportSize(size);
      await speak(page, language);
      for (const hash of SCREENS) {
        await at(page, hash);
        await fitsScreen(page, `${hash}, ${what}, ${language}`);
        if (size === PHONE && [NOTHING, TROUBLE].includes(changes)) await accessible(page, `${hash}, ${what}`);
        assert.ok((await page.locator("#screen").innerText()).trim().length > 12, `${hash} says nothing`);
        await shot(page, `${what.replaceAll(" ", "-")}-${hash.split(/[/?]/)[0] || "overview"}-${language}`);
      }
    }
    nothingAmiss(seen);
    await context.close();
  });
}

test("nothing jumps while a screen comes", async () => {
  const { page, seen, context } = await told({ events: (e) => e }); // without the live stream: a gateway has few
  await page.addInitScript(() => {
    window.moved = [];
    new PerformanceObserver((list) => {
      for (const e of list.getEntries()) window.moved.push([e.value, ...e.sources.map((s) => s.node?.outerHTML?.slice(0, 80))]);
    }).observe({ type: "layout-shift", buffered: true });
  });
  for (const hash of SCREENS) {
    await page.goto("about:blank");
    await page.goto(`${url}#/${hash}`);
    await page.waitForFunction(() => document.querySelector("#screen h1") && !document.querySelector("#screen [role=status].quiet") &&
      document.querySelector("#screen .sentence")?.textContent !== "Đang đọc…");
    if (/^(device\/|charts|why)/.test(hash)) await page.locator(".plot canvas").first().waitFor();
    const moved = await page.evaluate(() => new Promise((done) => { setTimeout(() => done(window.moved), 200); }));
    assert.ok(moved.reduce((sum, [by]) => sum + by, 0) < 0.1, `${hash} jumps: ${JSON.stringify(moved)}`);
  }
  nothingAmiss(seen);
  await context.close();
});

test("the doors fit both sizes and complain of nothing, in both languages", async () => {
  const { page, seen, context } = await open(PHONE, "vi");
  seen.origin = url;
  await page.goto(url);
  for (const first of [false, true]) {
    if (first) {
      await page.route("**/api/v1/session", (r) => r.fulfill({ status: 401, contentType: "application/problem+json",
        body: JSON.stringify({ type: "about:blank", status: 401, code: "no_session", detail: "nobody is signed in", first: true }) }));
      await page.reload();
    }
    await page.locator(first ? "input[name=code]" : "input[name=password]").waitFor();
    for (const [size, name] of [[PHONE, "phone"], [DESKTOP, "desktop"]]) {
      await page.setViewportSize(size);
      for (const language of ["vi", "en"]) {
        await speak(page, language);
        await fitsScreen(page, `the door, ${name}, ${language}`);
        await accessible(page, `the door, ${name}, ${language}`);
        await shot(page, `${first ? "first-door" : "door"}-${name}-${language}`);
      }
    }
  }
  nothingAmiss(seen);
  await context.close();
});

// ---- colours, numbers and clocks ------------------------------------------------------------------------

test("lines stand out from their ground by day and by night, and on paper they are those of the day", async () => {
  const { page, context } = await told({}), contrasts = () => page.evaluate(() => {
    const style = getComputedStyle(document.documentElement), light = (name) => {
      const hex = style.getPropertyValue(name).trim().slice(1), wide = hex.length === 3 ? [...hex].map((c) => c + c).join("") : hex;
      const [r, g, b] = [0, 2, 4].map((i) => parseInt(wide.slice(i, i + 2), 16) / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
    };
    return ["--c0", "--c1", "--c2", "--c3", "--ink"].map((c) => Math.max(light(c), light("--card")) / Math.min(light(c), light("--card")));
  });
  const ink = () => page.evaluate(() => { // the darkest of what is written beside the picture, 0 to 255
    const canvas = document.querySelector(".plot canvas"), { data } = canvas.getContext("2d").getImageData(0, 0, 50, canvas.height);
    let least = 255;
    for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 250) least = Math.min(least, data[i]);
    return least;
  });
  await at(page, "charts?s=meter-1/voltage_l1&r=1h");
  await page.locator(".plot canvas").waitFor();
  for (const [media, colorScheme, dark] of [["screen", "light", true], ["screen", "dark", false], ["print", "dark", true]]) {
    await page.emulateMedia({ media, colorScheme });
    for (const c of await contrasts()) assert.ok(c >= 4.5, `${media} ${colorScheme}: ${c}`);
    const end_ms = Date.now() + 5000;
    while ((await ink() < 128) !== dark) assert.ok(Date.now() < end_ms, `the picture's figures, ${media} ${colorScheme}`);
  }
  await context.close();
});

test("registers of a device that says its own scale show none", async () => {
  const { page, context } = await told({ why: (w) => ({ ...w, point: { ...w.point, raw: { function: 3, address: 40072, registers: ["00fa"], type: "s16", order: "AB", scale: null, offset: null } } }) });
  await at(page, "why/air-1/pm25");
  const path = page.locator("section", { hasText: WORDS.vi["why.path"] }).last();
  await path.waitFor();
  assert.equal(await path.locator("dd").nth(2).textContent(), "s16");
  await context.close();
});

test("a phone whose clock is set, forth or back: no age is less than true, and the page goes on", async () => {
  const { page, seen, context } = await told({}), SECONDS = { "giây": 1, "phút": 60, "giờ": 3600, "ngày": 86400 };
  const ages = async () => (await page.locator("#screen .point .age").allTextContents()).map((a) => {
    const [, n, unit] = /([\d.-]+) (\S+) trước$/.exec(a);
    return Number(n) * SECONDS[unit];
  });
  await at(page, "devices");
  await page.evaluate(() => {
    const real = Date.now;
    window.shift = 0;
    Date.now = () => real() + window.shift;
  });
  for (const hours of [3, -5]) {
    const then = await ages();
    await page.evaluate((h) => { window.shift += h * 3600e3; }, hours);
    await page.waitForTimeout(1100); // one second of its own
    (await ages()).forEach((age, i) => assert.ok(age >= then[i], `${age} s, and it was ${then[i]} s`));
    await page.waitForFunction(() => !document.querySelector("#lost") && document.querySelector("#link.live") &&
      [...document.querySelectorAll('[data-series^="meter-1/"] .age')].every((e) => /giây|phút/.test(e.textContent)));
  }
  await page.locator(".screen.devices").waitFor();
  assert.equal(await page.locator("input[name=password]").count(), 0, "still signed in");
  nothingAmiss(seen);
  await context.close();
});
