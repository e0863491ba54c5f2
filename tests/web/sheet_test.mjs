// A report as a page, in a real Chromium: on a phone nothing sticks out, on A4 it is a table with its head on each
// page, nothing in it runs or is fetched, and a judge of accessibility finds no fault.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { accessible, BIN, DESKTOP, end, fitsScreen, nothingAmiss, open, PHONE, shot, work } from "./lib.mjs";

before(() => {
  for (const [name, more] of [["draft", []], ["submitted", ["changed"]]]) {
    mkdirSync(join(work, name));
    const made = spawnSync(join(BIN, "test-sheet-site"), [join(work, name), ...more], { encoding: "utf8",
      env: { ...process.env, LSAN_OPTIONS: `suppressions=${join(import.meta.dirname ?? ".", "../support/lsan.supp")}` } });
    assert.equal(made.status, 0, made.stderr);
  }
});
after(end);

for (const [place, size] of [["phone", PHONE], ["desk", DESKTOP]]) {
  for (const language of ["vi", "en"]) {
    test(`a sheet in ${language} fits a ${place}`, async () => {
      const { page, seen, context } = await open(size, language);
      seen.origin = "file://";
      await page.goto(pathToFileURL(join(work, "submitted", `${language}.html`)).href);
      await shot(page, `sheet-${place}-${language}`);
      await fitsScreen(page, `sheet ${place} ${language}`);
      // what is a column on paper has its name on a phone
      const head = page.locator("thead").last();
      assert.equal(await head.isVisible(), place === "desk");
      assert.equal(await page.locator("script, img, iframe, object, link").count(), 0);
      assert.match(await page.locator("body").innerText(), /<script>alert\(1\)<\/script>/);
      nothingAmiss(seen);
      await context.close();
    });
  }
}

test("a sheet has no fault for a reader who does not see it", async () => {
  const { page, context } = await open(DESKTOP, "vi", { bypassCSP: true }); // the judge is a script
  await page.goto(pathToFileURL(join(work, "draft", "vi.html")).href);
  await accessible(page, "sheet");
  await context.close();
});

test("on A4 it is pages that lie, with the code on the first", async () => {
  const { page, context } = await open(DESKTOP, "vi");
  await page.goto(pathToFileURL(join(work, "submitted", "vi.html")).href);
  const path = join(work, "a4.pdf");
  await page.pdf({ path, preferCSSPageSize: true, printBackground: true });
  const info = spawnSync("pdfinfo", [path], { encoding: "utf8" }).stdout;
  assert.match(info, /Page size: +84[12]\.\d+ x 59[45]\.\d+ pts \(A4\)/);
  const pages = Number(/Pages: +(\d+)/.exec(info)[1]);
  assert.ok(pages > 2, info);
  for (let i = 1; i <= pages; i++) {
    const said = spawnSync("pdftotext", ["-f", `${i}`, "-l", `${i}`, path, "-"], { encoding: "utf8" }).stdout;
    assert.match(said, /Mức\s+đầy\s+đủ/, `page ${i} has the table's head`);
  }
  spawnSync("pdftoppm", ["-r", "150", "-png", "-f", "1", "-l", "1", "-singlefile", path, join(work, "a4")]);
  const code = spawnSync("zbarimg", ["--quiet", "--raw", "--nodbus", join(work, "a4.png")], { encoding: "utf8" }).stdout;
  assert.match(code, /^FPR1:tra-cau-01:21451:2026-H1:[0-9a-f]{64}$/m);
  await context.close();
});
