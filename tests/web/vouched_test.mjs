// A phone that knows the city's CA, and nothing of the gateway: after enrolment it opens the page by its address
// and no certificate error is ignored; before, it does not.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { BIN, end, enter, nothingAmiss, open, PATIENCE_MS, PHONE, program, run, tell, trust, work } from "./lib.mjs";

const HOST = "127.0.7.2", PASSWORD = "a long administrator", AGAIN_MS = 500, ENROLLED_MS = 60000;
let city, gateway, url;

const at = (name) => join(work, name);

function openssl(...args) {
  const done = spawnSync("openssl", args, { encoding: "utf8" });
  assert.equal(done.status, 0, `openssl ${args.join(" ")}: ${done.stderr}`);
  return done.stdout;
}

before(async () => {
  mkdirSync(work, { recursive: true });
  openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=city",
    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", at("tls.key"), "-out", at("tls.pem"));
  openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", at("sign.key"));
  writeFileSync(at("city.yaml"), `listen: "127.0.0.1:0"
cert: ${at("tls.pem")}
key: ${at("tls.key")}
sign_key: ${at("sign.key")}
db: ${at("city.db")}
ca: {cert: ${at("devices.pem")}, key: ${at("devices.key")}, tls: ${at("tls.pem")}}
`);
  run("fieldpost-city", "ca", "--config", at("city.yaml"));
  city = await program(join(BIN, "fieldpost-city"), ["serve", "--config", at("city.yaml")],
    { ready: /listening on (https:\S+)/, from: "stderr" });
  writeFileSync(at("ca.pem"), readFileSync(at("tls.pem")));
  openssl("ec", "-in", at("sign.key"), "-pubout", "-out", at("city.pub"));
  run("fieldpost", "keygen", "--out", at("device.key"));
  writeFileSync(at("fieldpost.yaml"), `gateway: {id: gw-1, name: "UBND phường Trà Câu"}
store: {path: ${at("fieldpost.db")}, journal_every: 500ms}
seal: {key: ${at("device.key")}, every: 2s}
uplinks: {city: {url: "${city.ready[1]}", ca: ${at("ca.pem")}, receipt_keys: [${at("city.pub")}]}}
web: {listen: "${HOST}:0"}
`);
  tell("fieldpost", `${PASSWORD}\n`, "user", "add", "--config", at("fieldpost.yaml"), "--name", "lan", "--role", "administrator");
  gateway = await program(join(BIN, "fieldpost"), ["run", "--config", at("fieldpost.yaml")],
    { ready: /page (https:\S+?)\/?(?=\s|$)/, from: "stderr" });
  url = `${gateway.ready[1]}/`;
  assert.ok(url.startsWith(`https://${HOST}:`), url);
  trust(at("devices.pem"), "C,,");
});
after(end);

const failure = (page) => page.goto(url).then(() => null, (e) => String(e));

test("before enrolment this phone refuses the page, after it opens it by its address", async () => {
  const { page, seen, context } = await open(PHONE, "vi");
  assert.match(await failure(page), /ERR_CERT_AUTHORITY_INVALID/);
  const label = run("fieldpost-city", "claim", "--config", at("city.yaml"), "--id", "gw-1");
  writeFileSync(at("code"), `${/^code +(\S+)$/m.exec(label)[1]}\n`, { mode: 0o600 });
  run("fieldpost", "enroll", "--config", at("fieldpost.yaml"), "--pin", /^pin +(\S+)$/m.exec(label)[1], "--code-file", at("code"));
  const until_ms = Date.now() + ENROLLED_MS;
  while ((await failure(page)) !== null) {
    assert.ok(Date.now() < until_ms, "the page does not get the city's certificate");
    await new Promise((resolve) => { setTimeout(resolve, AGAIN_MS); });
  }
  const shown = await page.goto(url).then((a) => a.securityDetails());
  assert.match(shown.issuer, /^fieldpost device CA/);
  assert.equal(shown.subjectName, "gw-1");
  seen.errors.length = 0; // of the certificate that it did not know
  await enter(page, "lan", PASSWORD);
  await page.locator(".screen h2").first().waitFor({ timeout: PATIENCE_MS });
  assert.equal(await page.evaluate(() => window.isSecureContext), true);
  nothingAmiss(seen);
  await context.close();
});

test("nothing here tells a browser to look away", () => {
  const all = readdirSync(new URL(".", import.meta.url)).filter((f) => f.endsWith(".mjs"));
  assert.ok(all.length > 4);
  for (const file of all) {
    const text = readFileSync(new URL(file, import.meta.url), "utf8");
    for (const word of ["ignoreHTTPS", "ignore-certificate"].map((w) => new RegExp(`${w}[EA-]`, "i"))) assert.doesNotMatch(text, word, file);
  }
});
