// node tests/web/picture.mjs BIN OUT.png [MINUTES [DIR]]: the README's picture of the page: the demo runs for
// so long (10 minutes), its devices fall silent for a while, and four screens stand beside each other. With
// DIR every screen is kept there as well, at both sizes and in both languages, to be looked at.
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { DESKTOP, end, enter, go, open, PHONE, speak, trust, work } from "./lib.mjs";

const ROOT = join(import.meta.dirname, "../.."), [bin, out, minutes = "10", keep] = process.argv.slice(2), MINUTE_MS = 60000;
const PASSWORD = "a long administrator", SIZE = { width: 360, height: 720 }, BETWEEN = 12, STARTS_MS = 60000;
const SCREENS = { overview: "", devices: "devices", device: "device/meter-1", charts: "charts?s=air-1/pm25,air-1/pm10&r=1h", city: "city",
  events: "events", about: "about", why: "why/air-1/pm25" };

const state = join(work, "demo");
const demo = spawn(join(ROOT, "board/host/demo"), ["--bin", resolve(bin), "--state", state], { stdio: ["ignore", "pipe", "inherit"] });
const said = { page: null, code: null };
const ready = new Promise((go_on, stop) => {
  createInterface({ input: demo.stdout }).on("line", (line) => {
    said.page ??= /page (https:\S+)/.exec(line)?.[1];
    said.code ??= /first administrator: (\S+)/.exec(line)?.[1];
    if (said.page && said.code) go_on();
  });
  demo.once("exit", (code) => stop(new Error(`the demo ended with ${code}`)));
  setTimeout(stop, STARTS_MS, new Error("the demo does not start")).unref();
});

// The demo's own child of that name.
function child(name) {
  const of = readFileSync(`/proc/${demo.pid}/task/${demo.pid}/children`, "utf8").trim().split(" ");
  return Number(of.find((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[0].endsWith(`/${name}`)));
}

async function at(page, screen) {
  await go(page, SCREENS[screen]);
  await page.locator(`.screen.${screen} h1`).waitFor();
  if (["charts", "device", "why"].includes(screen)) await page.locator(".plot canvas").first().waitFor();
  await page.waitForFunction(() => !document.querySelector("#screen [role=status].quiet"));
}

async function all(page, what) {
  for (const [size, name] of [[PHONE, "phone"], [DESKTOP, "desktop"]]) {
    await page.setViewportSize(size);
    for (const language of ["vi", "en"]) {
      await speak(page, language);
      for (const screen of Object.keys(SCREENS)) {
        await at(page, screen);
        await page.screenshot({ path: join(keep, `${what}-${screen}-${name}-${language}.png`), fullPage: true });
      }
    }
  }
  await page.setViewportSize(SIZE);
  await speak(page, "vi");
}

async function beside(pictures) {
  const { page, context } = await open({ width: pictures.length * (SIZE.width + BETWEEN) - BETWEEN, height: SIZE.height }, "vi");
  await page.setContent(`<body>${pictures.map((p) => `<img src="data:image/png;base64,${p.toString("base64")}">`).join("")}`);
  await page.addStyleTag({ content: `body { margin: 0; display: flex; gap: ${BETWEEN}px; background: #888; } img { width: ${SIZE.width}px; }` });
  writeFileSync(out, await page.screenshot());
  await context.close();
}

try {
  await ready;
  trust(join(state, "fieldpost.db.page.crt"));
  const { page } = await open(SIZE, "vi");
  await page.goto(said.page);
  await page.locator("input[name=code]").fill(said.code);
  await page.locator("input[name=again]").fill(PASSWORD);
  await enter(page, "lan", PASSWORD);
  await page.locator(".screen.overview h2").first().waitFor();
  if (keep) mkdirSync(keep, { recursive: true });
  await pause(0.7 * minutes * MINUTE_MS);
  if (keep) await all(page, "well");
  await at(page, "overview");
  process.kill(child("fieldpost-sim"), "SIGSTOP");
  await page.locator(".banner.act #sentence").waitFor();
  await pause(0.1 * minutes * MINUTE_MS);
  const shots = [await page.screenshot()];
  if (keep) await all(page, "silent");
  process.kill(child("fieldpost-sim"), "SIGCONT");
  await pause(0.2 * minutes * MINUTE_MS);
  await at(page, "devices");
  shots.push(await page.screenshot());
  const to = Date.now(), from = to - minutes * MINUTE_MS;
  await go(page, `charts?s=air-1/pm25,air-1/pm10&from=${from}&to=${to}`);
  await page.locator(".plot canvas").first().waitFor();
  await page.evaluate(() => window.scrollTo(0, document.querySelector("figure").getBoundingClientRect().top + scrollY - 190));
  await page.waitForFunction(() => /\d/.test(document.querySelector(".said")?.textContent));
  shots.push(await page.screenshot());
  await at(page, "why");
  shots.push(await page.screenshot());
  await beside(shots);
  if (keep) console.log(readdirSync(keep).length, "pictures in", keep);
} finally {
  demo.kill("SIGTERM");
  await new Promise((done) => { demo.once("exit", done); });
  await end();
}
