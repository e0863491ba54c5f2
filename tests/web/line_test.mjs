// The page of the real gateway, which reads the real simulator: what is set there is what is shown,
// and when the gateway stands still no value looks fresh.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { accessible, BIN, DESKTOP, end, enter, fitsScreen, go, nothingAmiss, open, PATIENCE_MS, PHONE, program, run, signIn, speak, trust, work } from "./lib.mjs";

const SEED = Number(process.env.FP_SEED ?? randomInt(1, 65535)), DEVICES = 3, STALE_MS = 30000, DAY_MS = 86400e3;
const PASSWORD = "a long administrator", HOSTILE = "<img src=x onerror=alert(1)>";
// What has words of its own for a gateway that does not answer: every screen.
const SCREENS = ["", "devices", "device/d1", "charts?s=d1/level&r=1h", "city", "events", "about", "why/d1/level"];
let sim, gateway, url, clock;

const at = (name) => join(work, name);
const words = (n) => n.toString(16).padStart(4, "0").toUpperCase();
const drawn = (n, of) => `d${1 + ((SEED + n) % of)}`;

async function say(line) {
  const answered = new Promise((resolve) => sim.child.stdout.once("data", (d) => resolve(String(d).trim())));
  sim.child.stdin.write(`${line}\n`);
  assert.equal(await answered, "ok");
}

// The gateway's wall clock is off by so much: tests/support/clock.c.
const jump = (ms) => writeSync(clock, new BigInt64Array([BigInt(ms), 0n, 1n, 5000n, 1n, 0n]), 0, 48, 0);

const freePort = () => new Promise((resolve) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});

before(async () => {
  console.log(`FP_SEED=${SEED}`);
  mkdirSync(work, { recursive: true });
  writeFileSync(at("point.yaml"), "model: a thing with one register\npoints:\n  - {name: level, quantity: water_level, function: 3, address: 5, type: u16, scale: 0.001}\n");
  writeFileSync(at("mapping.yaml"), "points:\n  - {name: temperature, quantity: temperature, from: /t}\n");
  writeFileSync(at("first.txt"), "5: 03E8\n");
  const ids = Array.from({ length: DEVICES }, (_, i) => `d${i + 1}`), mqtt = await freePort();
  writeFileSync(at("broker.conf"), `listener ${mqtt} 127.0.0.1\nallow_anonymous true\nuser root\n`);
  await program("/usr/sbin/mosquitto", ["-c", at("broker.conf")], { ready: /running$/, from: "stderr" });
  writeFileSync(at("site.yaml"), `buses:\n  net: {type: modbus-tcp, listen: "127.0.0.1:0"}\ndevices:\n${
    ids.map((id, i) => `  ${id}: {bus: net, unit: ${i + 1}, words: first.txt}\n`).join("")}`);
  sim = await program(join(BIN, "fieldpost-sim"), ["--config", at("site.yaml")], { ready: /^ready$/ });
  const port = /:(\d+)$/.exec(sim.said.find((l) => l.startsWith("bus net")))[1];
  run("fieldpost", "keygen", "--out", at("device.key"));
  writeFileSync(at("fieldpost.yaml"), `gateway: {id: gw-1, name: "UBND phường Trà Câu"}
store: {path: ${at("fieldpost.db")}, journal_every: 500ms}
seal: {key: ${at("device.key")}, every: 2s}
buses:
  net: {type: modbus-tcp, host: 127.0.0.1, port: ${port}, timeout: 300ms}
  radio: {type: mqtt, host: 127.0.0.1, port: ${mqtt}, client: gw-1}
devices:
${ids.map((id, i) => `  ${id}: {bus: net, unit: ${i + 1}, profile: ./point.yaml, every: 500ms, name: "Mực nước ${i + 1}"}\n`).join("")
}  m1: {bus: radio, format: json, topic: yard/m1, profile: ./mapping.yaml}
web: {listen: "127.0.0.1:0"}
`);
  writeFileSync(at("clock"), new Uint8Array(48));
  clock = openSync(at("clock"), "r+");
  jump(0);
  gateway = await program(join(BIN, "fieldpost"), ["run", "--config", at("fieldpost.yaml")], { ready: /page (https:\S+?)\/?(?=\s|$)/, from: "stderr",
    env: { FP_CLOCK: at("clock"), LD_PRELOAD: join(BIN, "../lib/clock.so"), ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ""}:verify_asan_link_order=0` } });
  gateway.mqtt = mqtt;
  url = `${gateway.ready[1]}/`;
  trust(at("fieldpost.db.page.crt"));
});
after(async () => {
  closeSync(clock);
  await end();
});

// One reader of each kind, signed in once.
const readers = new Map();
async function visit(size, language, hash) {
  const key = `${size.width} ${language}`;
  if (!readers.has(key)) {
    const reader = await open(size, language);
    await signIn(reader, url, "lan", PASSWORD);
    reader.seen.origin = url;
    await reader.page.goto(url);
    await reader.page.locator(".screen.overview h2").first().waitFor();
    readers.set(key, reader);
  }
  await go(readers.get(key).page, hash);
  return readers.get(key);
}

const shown = (page, id, value) => page.waitForFunction(([series, want]) =>
  document.querySelector(`[data-series="${series}"] .figure`)?.textContent === want, [`${id}/level`, value]);
const api = (page, path) => page.evaluate((p) => fetch(`/api/v1/${p}`).then((a) => a.json()), path);
const sentence = (page, text) => page.waitForFunction((want) => new RegExp(want).test(document.querySelector("#sentence")?.textContent), text);

// [ms, value, the batch's number or ""] of what is exported of it.
const rows = (id) => run("fieldpost", "export", "--config", at("fieldpost.yaml"), "--format", "csv", "--series", `${id}/level`).trim().split("\n").slice(1)
  .map((r) => r.split(",")).map((r) => [Number(r[1]), Number(r[2]), r[5]]);

async function until(what, is) {
  const end_ms = Date.now() + PATIENCE_MS;
  while (Date.now() < end_ms) {
    const found = await is();
    if (found) return found;
    await new Promise((resolve) => { setTimeout(resolve, 200); });
  }
  return assert.fail(what);
}

test("who has the claim code becomes the first administrator, and nobody gets in without the password", async () => {
  const { page, seen, context } = await open(PHONE, "vi"), code = run("fieldpost", "user", "claim", "--config", at("fieldpost.yaml")).trim();
  seen.origin = url;
  await page.goto(url);
  await page.locator("input[name=code]").fill(code);
  await page.locator("input[name=again]").fill(PASSWORD);
  await fitsScreen(page, "the first door");
  await accessible(page, "the first door");
  await enter(page, "lan", PASSWORD);
  await page.locator(".screen.overview h2").first().waitFor();
  await page.locator("#leave").click();
  await enter(page, "lan", "a wrong password");
  await page.locator(".wrong").getByText("Tên hoặc mật khẩu không đúng.").waitFor();
  assert.equal(await page.locator(".screen h2").count(), 0);
  await fitsScreen(page, "the door");
  await accessible(page, "the door");
  nothingAmiss(seen);
  await context.close();
});

test("a page whose session ends in its hands shows the door, without being loaded anew", async () => {
  const { page, seen, context } = await open(PHONE, "vi");
  await signIn({ page, seen }, url, "lan", PASSWORD);
  seen.origin = url;
  await page.goto(url);
  await page.locator(".screen.overview h2").first().waitFor();
  seen.quiet = true; // the browser reports what is refused from now on
  assert.equal(await page.evaluate(async () => {
    const { csrf } = await fetch("/api/v1/session").then((a) => a.json());
    return (await fetch("/api/v1/session", { method: "DELETE", headers: { "X-CSRF-Token": csrf } })).status;
  }), 204);
  await page.locator("input[name=password]").waitFor();
  assert.equal(await page.locator("input[name=code]").count(), 0);
  await enter(page, "lan", PASSWORD);
  await page.locator(".screen.overview h2").first().waitFor();
  assert.deepEqual(seen.outside, []);
  await context.close();
});

for (const [size, language, comma] of [[PHONE, "vi", ","], [DESKTOP, "en", "."]]) {
  test(`a value that is set in a device is the same on the page, in the API and in the export (${language})`, async () => {
    const { page, seen } = await visit(size, language, "devices");
    const id = drawn(0, DEVICES), raw = 1 + ((SEED * (language === "vi" ? 7919 : 104729)) % 9998), value = raw / 1000;
    writeFileSync(at("next.txt"), `5: ${words(raw)}\n`);
    await say(`words ${id} ${at("next.txt")}`);
    await shown(page, id, value.toFixed(3).replace(".", comma));
    assert.equal((await api(page, `series?device=${id}`)).series[0].value, value);
    await go(page, `why/${id}/level`);
    await page.locator(".big .figure").getByText(value.toFixed(3).replace(".", comma)).waitFor();
    await until(`${value} of ${id} is exported`, () => rows(id).some((r) => r[1] === value));
    nothingAmiss(seen);
  });
}

test("a point of a chart leads to its reading, which says who corrected it and why, and what is not kept", async () => {
  const { page, seen } = await visit(PHONE, "vi", "devices"), id = "d1", raw = 1 + ((SEED * 15485863) % 9998), series = `${id}/level`;
  writeFileSync(at("next.txt"), `5: ${words(raw)}\n`);
  await say(`words ${id} ${at("next.txt")}`);
  const [t_ms] = await until("it is sealed", () => rows(id).find((r) => r[1] === raw / 1000 && r[2]));
  await page.goto(`${url}#/charts?s=${series}&r=1h`);
  await page.locator("a.because").first().click();
  await page.locator(".screen.why .facts").first().waitFor();
  assert.match(page.url(), /#\/why\/d1\/level\?at=\d+/);
  await page.goto(`${url}#/why/${series}?at=${t_ms}&within=0`);
  await page.locator(".big .figure").getByText((raw / 1000).toFixed(3).replace(".", ",")).waitFor();
  await page.getByText("Không có đính chính nào.").waitFor();
  await page.getByRole("heading", { name: "Không được giữ" }).waitFor();
  await page.getByText("như đã đọc").waitFor();
  await fitsScreen(page, "why, of the past");
  await accessible(page, "why, of the past");
  run("fieldpost", "correct", series, "--config", at("fieldpost.yaml"), "--from", String(t_ms), "--to", String(t_ms + 1), "--rescale", "2,0",
    "--reason", "sai thang đo", "--by", "Vy");
  await page.waitForFunction(async ([name, time]) => (await (await fetch(`/api/v1/why/past?series=${name}&at=${time}&within_ms=0`)).json())
    .corrections.length === 1, [series, t_ms]);
  await page.reload();
  await page.locator(".corrections li").getByText("Vy: sai thang đo").waitFor();
  await page.locator(".big .figure").getByText((raw / 500).toFixed(3).replace(".", ",")).waitFor();
  await page.getByText("đã đính chính").waitFor();
  nothingAmiss(seen);
});

test("a device that is killed is dead on the page, in the API and in the export alike, is asked at once when one wants, and comes back", async () => {
  const { page, seen } = await visit(PHONE, "vi", "devices"), id = drawn(1, DEVICES), name = `Mực nước ${id.slice(1)}`;
  const badge = page.locator(`#device-${id} .badge`), other = await visit(DESKTOP, "en", "");
  await badge.getByText("Tốt").waitFor();
  await say(`fault ${id} silent 100000`);
  await badge.getByText("Không trả lời").waitFor();
  await page.locator(`#device-${id} .stale s`).waitFor();
  const device = (await api(page, "status")).devices.find((d) => d.id === id), point = (await api(page, `series?device=${id}`)).series[0];
  assert.equal(device.state, "silent");
  assert.equal(point.missing, "device");
  assert.ok(point.age_ms > 0 && point.t_ms < device.since_ms + 500, "the last value is one of before");
  const last = await until("the last reading is exported", () => rows(id).at(-1)?.[0] === point.t_ms && rows(id).at(-1)[0]);
  // The first sentence, word for word, in both languages.
  const [, month, day, time] = /-(\d\d)-(\d\d)T(\d\d:\d\d)/.exec(new Date(device.since_ms + 7 * 3600e3).toISOString()); // as in Viet Nam
  await go(page, "");
  await sentence(page, `^Mất liên lạc với ${name} từ ${time} ngày ${day}/${month}\\.$`);
  await sentence(other.page, `^${name} does not answer since ${time} on ${day}/${month}\\.$`);
  // Ask it now: the gateway does, whenever its turn would have come.
  await go(page, `device/${id}`);
  await page.locator(".probe button").click();
  await page.locator(".probe [role=status]").getByText("Đã hỏi").waitFor();
  await until("it was asked", async () => (await api(page, "events?limit=20")).events.some((e) => e.code === "bus.probe" && e.text.includes(`lan has unit ${id.slice(1)}`)));
  assert.equal(rows(id).at(-1)[0], last, "nothing was measured since");
  await say(`heal ${id}`);
  await page.locator(".probe button").click();
  await page.locator(".screen.device > div > p > .badge").getByText("Tốt").waitFor();
  await page.waitForFunction(() => !document.querySelector(".probe"));
  await until("its readings are exported again", () => rows(id).at(-1)[0] > last);
  await go(page, `charts?s=${id}/level&r=1h`);
  await page.locator(".gaps summary").click();
  await page.locator(".gaps li").first().getByText("Thiết bị không trả lời đúng").waitFor();
  nothingAmiss(seen);
  nothingAmiss(other.seen);
});

test("what a broker brings, HTML and all, becomes no part of a screen", async () => {
  const { page, seen } = await visit(PHONE, "vi", "device/m1");
  for (const payload of [HOSTILE, JSON.stringify({ t: HOSTILE, [HOSTILE]: 1 })]) {
    assert.equal(spawnSync("mosquitto_pub", ["-h", "127.0.0.1", "-p", String(gateway.mqtt), "-q", "1", "-t", "yard/m1", "-m", payload]).status, 0);
  }
  for (const hash of ["device/m1", "events", "devices", ""]) {
    await go(page, hash);
    await page.locator("#screen").getByText(hash === "events" || hash === "device/m1" ? "Its message is not used" : "m1").first().waitFor();
    assert.equal(await page.locator("#screen img, #screen script").count(), 0, hash);
  }
  nothingAmiss(seen);
});

test("a gateway whose clock is set, a day on and back again, keeps who is signed in, and no age is wrong", async () => {
  const { page, seen } = await visit(PHONE, "vi", "devices");
  for (const ms of [DAY_MS, 0]) {
    jump(ms);
    await until("its clock is the new one", async () => Math.abs((await api(page, "status")).now_ms - Date.now() - ms) < 60e3);
    await until("readings have its date", async () => (await api(page, "series?device=d1")).series.every((p) => Math.abs(p.t_ms - Date.now() - ms) < 60e3));
    await page.waitForFunction(() => document.querySelectorAll('.point:not(.stale)[data-series^="d"] .figure').length >= 3);
    assert.doesNotMatch((await page.locator(".point .age").allTextContents()).join(), /-|giờ|ngày/);
  }
  assert.equal(await page.locator("input[name=password]").count(), 0);
  nothingAmiss(seen);
});

test("while the gateway stands still every value on every screen is old, and the page says so; then it goes on", async () => {
  const { page, seen } = await visit(PHONE, "vi", "devices");
  for (const language of ["en", "vi"]) await speak(page, language);
  for (const hash of SCREENS) { // each has what it shows
    await go(page, hash);
    await page.waitForFunction((h) => location.hash === h && document.querySelector("#screen h1") && !document.querySelector("#screen [role=status].quiet"), `#/${hash}`);
  }
  await go(page, "devices");
  await page.waitForFunction((n) => document.querySelectorAll(".point:not(.stale) .figure").length >= n, DEVICES);
  for (const r of readers.values()) r.seen.quiet = true; // the browser reports each request that fails, of every page
  gateway.child.kill("SIGSTOP");
  try {
    await page.waitForFunction((n) => document.querySelectorAll(".point.stale s.figure").length >= n, DEVICES, { timeout: STALE_MS });
    for (const language of ["vi", "en"]) {
      await speak(page, language);
      for (const hash of SCREENS) {
        await go(page, hash);
        await page.waitForFunction((h) => location.hash === h && document.querySelector("#screen h1"), `#/${hash}`);
        await page.locator("#lost").getByText(language === "vi" ? "Không liên lạc được với trạm từ" : "The gateway has not answered since").waitFor();
        const is = await page.evaluate(() => ({
          fresh: [...document.querySelectorAll("#screen .figure, #screen .said")].filter((e) => !/^–?$/.test(e.textContent) &&
            !getComputedStyle(e).textDecorationLine.includes("line-through")).map((e) => e.outerHTML),
          ages: [...document.querySelectorAll("#screen .stale .age")].map((e) => e.textContent),
          good: [...document.querySelectorAll("#screen .badge.good, #screen .banner.good")].map((e) => e.outerHTML) }));
        assert.deepEqual(is.fresh, [], `${hash}: looks fresh`);
        assert.deepEqual(is.good, [], `${hash}: looks good`);
        for (const age of is.ages) assert.match(age, language === "vi" ? /^cũ: \d+ (giây|phút) trước$/ : /^old: \d+ (s|min) ago$/);
        assert.ok(is.ages.length >= ({ devices: DEVICES, "device/d1": 1, "why/d1/level": 1 }[hash] ?? 0), hash);
      }
    }
    await speak(page, "vi");
    await go(page, "devices");
    const age = page.locator(".point .age").first(), then = await age.textContent();
    await page.waitForFunction((old) => document.querySelector(".point .age").textContent !== old, then);
  } finally {
    gateway.child.kill("SIGCONT");
  }
  await page.locator("#link.live").waitFor();
  await page.waitForFunction(() => document.querySelectorAll(".point:not(.stale) .figure").length > 0 && !document.querySelector("#lost"));
  assert.deepEqual(seen.outside, []);
});

test("a bus that is cut is said first, word for word, in both languages", async () => { // the last: the simulator ends
  const vi = await visit(PHONE, "vi", ""), en = await visit(DESKTOP, "en", "");
  for (const { page, seen } of [vi, en]) {
    await page.locator("#link.live").waitFor(); // what the silent gateway was asked has failed by now
    seen.quiet = false;
  }
  sim.child.kill("SIGKILL");
  await sentence(vi.page, `^Đứt đường net: không nối được tới ${DEVICES} thiết bị\\.$`);
  await sentence(en.page, `^Bus net is cut: there is no line to its ${DEVICES} devices\\.$`);
  nothingAmiss(vi.seen);
  nothingAmiss(en.seen);
});
