"""What programs ask for with a token, between the simulator, the real gateway and the real city: what was
asked arrives as a signed entry and is applied; whatever may not be asked is refused and writes nothing.
Every answer is held against gateway/doc/openapi.yaml."""
import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import ssl
import stat
import subprocess
import sys
import time
from decimal import Decimal

import yaml
from jsonschema import Draft202012Validator

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
from fp_cbor import Tag  # noqa: E402
from fp_proc import Case, City, Gateway, Proc, csv_rows, main, run, until, write  # noqa: E402

PROFILE = """model: test
points:
  - {name: level, quantity: weight, function: 3, address: 10, type: s16, scale: 0.1}
  - {name: volts, quantity: voltage, function: 3, address: 12, type: u16, scale: 0.1}
"""
SITE = """buses:
  plant: {type: modbus-tcp, listen: "127.0.0.1:0"}
devices:
  a: {bus: plant, unit: 1, profile: ./p.yaml, points: {level: {formula: ramp, from: 1, step: 0.1}, volts: {value: 230}}}
  b: {bus: plant, unit: 2, profile: ./p.yaml, points: {level: {formula: ramp, from: 500, step: 0.1}, volts: {value: 231}}}
"""
SLIP = """model: weighing slip
points:
  - {name: net, quantity: weight, valid: [0, 40000]}
"""
CALIBRATING = 8
CODES = {"bad_json": 400, "bad_request": 400, "bad_query": 400, "no_token": 401, "wrong_token": 401,
         "expired": 401, "wrong_scope": 403, "no_session": 401, "wrong_password": 401, "wrong_code": 401,
         "csrf": 403, "wrong_role": 403, "unknown_user": 404, "unknown_token": 404, "unknown_series": 404, "unknown_device": 404, "unknown_bus": 404, "unknown_alarm": 404,
         "unknown_correction": 404, "unknown_request": 404, "not_found": 404, "method_not_allowed": 405,
         "no_survey": 404, "stale_position": 409, "inaccurate_position": 409, "other_phone": 409,
         "conflict": 409, "too_large": 413, "unsupported_type": 415, "wrong_host": 421, "rate": 429,
         "busy": 503, "unavailable": 503}

with open(os.path.join(ROOT, "gateway/doc/openapi.yaml"), encoding="utf-8") as spec_file:
    SPEC = yaml.safe_load(spec_file)


def resolved(x):
    while "$ref" in x:
        at = SPEC
        for part in x["$ref"].removeprefix("#/").split("/"):
            at = at[part]
        x = at
    return x


def operation(method, path):
    """What the document says of a request; None: nothing."""
    for pattern, item in SPEC["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path.split("?")[0]):
            return item.get(method.lower())
    return None


def faults(schema, instance):
    v = Draft202012Validator({**schema, "components": SPEC["components"]})
    return [f"{'/'.join(map(str, e.path))}: {e.message}" for e in v.iter_errors(instance)]


class Api(Case):
    def setUp(self):
        super().setUp()
        self.city = City(self.args.bin, os.path.join(self.folder, "city"))
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.city.enroll(self.gw.gw, self.gw.pub_path)
        self.city.start()
        self.stack.callback(self.city.stop)
        for folder in (self.folder, self.gw.folder):
            write(os.path.join(folder, "p.yaml"), PROFILE)
        write(os.path.join(self.folder, "site.yaml"), SITE)
        self.sim = Proc([os.path.join(self.args.bin, "fieldpost-sim"), "--config",
                         os.path.join(self.folder, "site.yaml")], stdout=subprocess.PIPE)
        self.stack.callback(self.sim.p.stdout.close)
        self.stack.callback(self.sim.kill)
        while (line := self.sim.p.stdout.readline().split()) != ["ready"]:
            self.bus = line[2]
        self.site()
        self.gw.start()
        self.stack.callback(self.gw.kill)
        self.port = self.gw.port()
        self.trust = ssl.create_default_context(cafile=self.gw.db + ".page.crt")
        until(lambda: len(self.batches(0)) >= 2, 60, "readings at the city")

    def site(self, devices=("a", "b"), port=0, scale=False):
        host, bus = self.bus.split(":")
        lines = [f"  {d}: {{bus: plant, unit: {'ab'.index(d) + 1}, profile: ./p.yaml, every: 200ms}}"
                 for d in devices]
        hand = "\n  desk: {type: manual}" if scale else ""
        if scale:
            write(os.path.join(self.gw.folder, "slip.yaml"), SLIP)
            lines.append("  scale: {bus: desk, profile: ./slip.yaml, stream: food}")
        self.gw.config(f"""buses:
  plant: {{type: modbus-tcp, host: {host}, port: {bus}, timeout: 1s}}{hand}
devices:
{chr(10).join(lines)}
uplinks:
  city: {{url: "{self.city.url}", ca: {self.city.ca}, receipt_keys: [{self.city.pub_path}]}}""",
                       every="1s", listen=f"127.0.0.1:{port}")

    # ---- asking ----

    def cli(self, *args, codes=(0,)):
        return run([self.gw.exe, *map(str, args), "--config", self.gw.conf], ok=codes)

    def token(self, name, scope, *more):
        return self.cli("token", "add", "--name", name, "--scope", scope, *more).stdout.strip()

    def ask(self, method, path, body=None, token=None, **headers):
        """(status, headers, JSON); the answer is what the document says."""
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        if token:
            headers["Authorization"] = f"Bearer {token}"
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        c = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self.trust)
        try:
            c.request(method, path, body, headers)
            r = c.getresponse()
            got = {k.lower(): v for k, v in r.getheaders()}
            return r.status, got, self.checked(method, path, r.status, got, r.read())
        finally:
            c.close()

    def checked(self, method, path, status, headers, body):
        op = operation(method, path)
        if op is None:
            self.assertIn(status, (404, 405))
            answer = resolved({"$ref": "#/components/responses/Problem"})
        else:
            answer = op["responses"].get(str(status)) or op["responses"].get(f"{status // 100}XX")
            self.assertIsNotNone(answer, f"{method} {path}: {status} is not in the document")
            answer = resolved(answer)
        self.assertNotIn("access-control-allow-origin", headers)
        self.assertIn("frame-ancestors 'none'", headers["content-security-policy"])
        self.assertEqual((headers["x-content-type-options"], headers["referrer-policy"]),
                         ("nosniff", "no-referrer"))
        if "content" not in answer:
            self.assertEqual((status, body), (204, b""))
            return None
        kind = headers["content-type"].split(";")[0]
        self.assertIn(kind, answer["content"], (method, path, status))
        data = json.loads(body)
        self.assertEqual(faults(answer["content"][kind]["schema"], data), [], (method, path, data))
        if kind == "application/problem+json":
            self.assertEqual((data["status"], CODES[data["code"]]), (status, status))
        return data

    def sealed(self, path, body, token):
        """Asks; the chain and number that the API says, once it does."""
        op = operation("POST", path)
        schema = op["requestBody"]["content"]["application/json"]["schema"]
        self.assertEqual(faults(schema, body), [], body)
        status, headers, said = self.ask("POST", path, body, token)
        self.assertEqual((status, headers["cache-control"]), (202, "no-store"), said)
        self.assertEqual(headers["location"], "/api/v1/requests/" + said["request"])

        def done():
            became = self.ask("GET", headers["location"], token=token)[2]
            return became if became["state"] != "waiting" else None
        became = until(done, 30, "the request to be taken")
        self.assertEqual(became["state"], "sealed", became)
        return {**became, **said}

    # ---- what there is ----

    def city_sql(self, text):
        db = sqlite3.connect(f"file:{self.city.db}?mode=ro", uri=True, timeout=10)
        try:
            return db.execute(text).fetchall()
        finally:
            db.close()

    def gw_sql(self, text):
        db = sqlite3.connect(f"file:{self.gw.db}?mode=ro", uri=True, timeout=10)
        try:
            return db.execute(text).fetchall()
        finally:
            db.close()

    def batches(self, kind):
        return self.city_sql(f"SELECT cose FROM batch WHERE kind = {kind} ORDER BY id")

    def entries(self, *names):
        """Of the control batches at the city, each with its place, its signature checked."""
        out = []
        for cose, in self.batches(1):
            b = fp.Batch(fp.decompress(cose), self.gw.pub)
            out += [(b.chain.hex(), b.seq, e) for e in b.entries if e[0] in names]
        return out

    def entry(self, name, became):
        """The one in the batch that the API named, once it is at the city."""
        def there():
            return [e for chain, seq, e in self.entries(name)
                    if (chain, seq) == (became["chain"], became["seq"])]
        got = until(there, 30, f"the {name} entry at the city")
        self.assertEqual(len(got), 1)
        return got[0]

    # ---- tests ----

    def test_each_kind_arrives_signed_and_is_applied(self):
        token = self.token("lab-1", "correct,maintain,retire")
        rows = [r for r in self.gw.export() if r[4]]
        t = sorted({int(r[1]) for r in rows if r[0] == "a/level"})
        a, b, c = t[0], t[len(t) // 2], t[-1] + 1
        first = {"series": "a/level", "from": a, "to": b, "change": "invalidate", "reason": "nhện",
                 "by": "Lan"}
        said = self.sealed("/api/v1/corrections", first, token)
        self.assertEqual(self.entry("correct", said), [
            "correct", said["request"], "a/level", a, b, "invalidate", None, "nhện", "lab-1: Lan"])
        said = self.sealed("/api/v1/corrections", {
            "series": "a/level", "from": str(b), "to": c, "change": "rescale", "scale": "0.5", "offset": -1,
            "reason": "wrong cell", "id": "cell-7"}, token)
        self.assertEqual((said["correction"], self.entry("correct", said)), ("cell-7", [
            "correct", "cell-7", "a/level", b, c, "rescale", [Tag(4, [-1, 5]), -1], "wrong cell", "lab-1"]))
        said = self.sealed("/api/v1/corrections", {
            "series": "a/volts", "from": a, "to": c, "change": "reassign", "target": "b/volts",
            "reason": "crossed"}, token)
        crossed = said["correction"]
        self.assertEqual(self.entry("correct", said)[5:7], ["reassign", "b/volts"])
        self.entry("correct", self.sealed("/api/v1/corrections", {"undo": crossed, "reason": "no"}, token))
        said = self.sealed("/api/v1/maintenance", {
            "series": "b/*", "work": "calibration", "from": a, "to": b, "details": {"certificate": "C-17"}},
            token)
        self.assertEqual(self.entry("maintain", said), [
            "maintain", "b/*", a, b, "calibration", {"by": "lab-1", "certificate": "C-17"}])
        said = self.sealed("/api/v1/maintenance", {
            "series": "a/level", "work": "swap", "from": c, "by": "Minh",
            "details": {"old_serial": "1", "new_serial": "2"}}, token)
        self.assertEqual(self.entry("maintain", said)[2:], [
            c, None, "swap", {"by": "lab-1: Minh", "old_serial": "1", "new_serial": "2"}])
        said = self.sealed("/api/v1/maintenance", {
            "series": "b/level", "work": "meter", "from": c, "details": {"last": "10432.7", "first": 0}},
            token)
        self.assertEqual(self.entry("maintain", said)[5], {
            "by": "lab-1", "last": Tag(4, [-1, 104327]), "first": 0})
        self.applied(rows, a, b, c)
        self.retired(token)

    def applied(self, sealed, a, b, c):
        """Export and dump have what the entries make of what was sealed before."""
        wanted = {}
        for series, ts, value, q, chain, seq in sealed:
            t = int(ts)
            if series == "a/level" and a <= t < b:
                continue
            if series == "a/level" and b <= t < c:
                value = format((Decimal(value) * Decimal("0.5") - 1).normalize(), "f")
            if series.startswith("b/") and a <= t < b:
                q = str(int(q) | CALIBRATING)
            wanted[series, ts, chain, seq] = (value, q)
        self.assertTrue(any(int(q) & CALIBRATING for _, q in wanted.values()))

        def among(rows):
            """What these rows make of the sealed ones."""
            places = {(r[1], r[4], r[5]) for r in sealed}
            return {(r[0], r[1], r[4], r[5]): (r[2], r[3]) for r in rows if (r[1], r[4], r[5]) in places}
        self.assertEqual(among(self.gw.export()), wanted)
        self.assertEqual(among(r[1:] for r in self.city.rows()), wanted)
        report = csv_rows_of(run([self.city.exe, "report", "--config", self.city.conf, "--by", "total",
                                  "--format", "csv"]).stdout)
        taken = {r["series"]: int(r["invalid"]) for r in report}
        self.assertEqual((taken["a/level"], taken["a/volts"]), (
            sum(r[0] == "a/level" and a <= int(r[1]) < b for r in sealed), 0))

    def retired(self, token):
        body = {"series": "b/*", "reason": "sold", "by": "Lan"}
        status, _, said = self.ask("POST", "/api/v1/retirements", body, token)
        self.assertEqual((status, said["code"]), (409, "conflict"))
        self.assertIn("still configured", said["detail"])
        self.site(devices=("a",), port=self.port)
        self.gw.proc.p.send_signal(signal.SIGHUP)
        until(lambda: self.ask_quietly("/api/v1/status")["not_configured"] == ["b/*"], 30, "the reload")
        said = self.sealed("/api/v1/retirements", body, token)

        def there():
            return [e for chain, seq, e in self.entries("retire")
                    if (chain, seq) == (said["chain"], said["seq"])]
        got = until(there, 30, "the retirement at the city")
        self.assertEqual([(e[1], e[3]) for e in got], [("b/level", "sold"), ("b/volts", "sold")])
        self.assertEqual([e[2:] for chain, seq, e in self.entries("change")
                          if (chain, seq) == (said["chain"], said["seq"])], [["retire", "b/*", "sold", "lab-1: Lan"]])
        out = run([self.city.exe, "retired", "--config", self.city.conf, "--format", "csv"]).stdout
        self.assertEqual({(r["series"], r["reason"]) for r in csv_rows_of(out)},
                         {("b/level", "sold"), ("b/volts", "sold")})
        told = "SELECT count(*) FROM event WHERE code = 'request.sealed' AND " \
            "text LIKE 'retire: lab-1: Lan asked at 20%'"
        until(lambda: self.gw_sql(told) == [(1,)], 30, "the event of the retirement")
        asked = self.gw_sql("SELECT text FROM event WHERE code = 'request.asked'")
        self.assertEqual(len(asked), 8, asked)
        # the gateway off: the command looks for itself
        self.assertEqual(self.gw.stop(), 0)
        out = self.cli("retire", "a/*", "--reason", "x", codes=(1,))
        self.assertIn("still configured", out.stderr)
        self.assertIn("no such series", self.cli("retire", "z/*", "--reason", "x", codes=(1,)).stderr)
        self.assertEqual(os.listdir(self.gw.db + ".requests"), [])

    def reader(self):
        """The token of whoever stands at the box."""
        with open(self.gw.db + ".console", encoding="ascii") as f:
            return f.read()

    def ask_quietly(self, path):
        try:
            return self.ask("GET", path, token=self.reader())[2]
        except (OSError, http.client.HTTPException):
            return {"not_configured": []}

    def refused(self, code, body, token, path="/api/v1/corrections", method="POST", **more):
        status, headers, said = self.ask(method, path, body, token, **more)
        self.assertEqual(said["code"], code, said)
        self.assertEqual(status, CODES[code])
        self.assertEqual(status == 401, "www-authenticate" in headers)
        return headers, said["detail"]

    def test_slips_count_once_whichever_way_they_come(self):
        """Entered while the gateway is off, by command and by API: a reading before the chain began and
        the entry that names it are at the city, and the report knows of nothing that is missing."""
        token, other = self.token("desk-1", "enter"), self.token("lab-1", "correct")
        self.assertEqual(self.gw.stop(), 0)
        self.site(port=self.port, scale=True)
        at = time.time_ns() // 1_000_000 - 7_200_000
        slip = ["enter", "scale/net", "4.25", "--unit", "t", "--at", at, "--by", "Lan", "--note", "slip 117"]
        for args, why in ((["scale/net", "1", "--unit", "km/h"], "give the value in kg"),
                          (["scale/net", "40001"], "outside 0 to 40000"), (["a/level", "1"], "not entered by hand"),
                          (["scale/gross", "1"], "no such series"), (["scale/net", "1", "--at", "2100-01-01"], "ahead")):
            self.assertIn(why, self.cli("enter", *args, codes=(1,)).stderr)  # at once, and nothing waits
        self.cli("enter", "scale/net", "1e3", codes=(2,))
        self.assertIn("when it starts", self.cli(*slip).stdout)
        self.gw.start()
        until(lambda: self.entries("entered"), 30, "the entry at the city")
        self.assertEqual(self.entries("entered")[0][2], ["entered", "scale/net", at, 4250, "Lan", "slip 117"])
        self.assertIn("counts once", self.cli(*slip, codes=(1,)).stderr)
        body = {"series": "scale/net", "value": 4250, "at": at}
        path = "/api/v1/slips"
        self.assertIn("counts once", self.refused("conflict", body, token, path)[1])
        self.refused("wrong_scope", body, other, path)
        self.refused("unknown_series", {**body, "series": "scale/x"}, token, path)
        self.refused("conflict", {**body, "series": "a/level"}, token, path)
        self.refused("bad_request", {**body, "at": "2100-01-01"}, token, path)
        self.refused("bad_request", {**body, "value": 4.5}, token, path)
        self.refused("bad_request", {**body, "force": 1}, token, path)
        self.assertIn("outside", self.refused("conflict", {**body, "value": 50000}, token, path)[1])
        said = self.sealed(path, {**body, "value": "50000.5", "force": True, "by": "Minh"}, token)
        self.assertEqual(self.entry("entered", said)[3:], [Tag(4, [-1, 500005]), "desk-1: Minh", None])

        def there():
            return sorted(r[2:5] for r in self.city.rows() if r[1] == "scale/net")
        until(lambda: len(there()) == 2, 30, "the readings at the city")
        self.assertEqual(there(), [[str(at), "4250", "16"], [str(at), "50000.5", "17"]])
        self.assertEqual(len([r for r in self.gw.export() if r[0] == "scale/net"]), 2)
        report = csv_rows_of(run([self.city.exe, "report", "--config", self.city.conf, "--by", "total",
                                  "--format", "csv"]).stdout)
        self.assertEqual([(r["unexplained_ms"], r["due"]) for r in report if r["series"] == "scale/net"],
                         [("0", "0")])

    def test_what_may_not_be_asked_is_refused_and_writes_nothing(self):
        good = {"series": "a/level", "from": 10 ** 12, "to": 2 * 10 ** 12, "change": "invalidate",
                "reason": "x"}
        token = self.token("lab-1", "correct,retire", "--expires", "90d")
        gone = self.token("gone", "correct")
        self.cli("token", "remove", "--name", "gone")
        ended = self.token("ended", "correct", "--expires", "1ms")
        other = self.token("other", "maintain")
        made = "SELECT code, subject, text FROM event WHERE code IN ('token.made', 'token.removed')"
        until(lambda: len(self.gw_sql(made)) == 5, 30, "each of these as an event")
        for event in self.gw_sql(made):
            self.assertRegex(event[2], r"^by \S.*: scopes (correct|correct,retire|maintain), (ends 20|without end)")
            self.assertFalse(any(t[4:] in event[2] for t in (token, gone, ended, other)))
        self.assertIn(("token.removed", "gone"), [e[:2] for e in self.gw_sql(made)])
        self.refused("no_token", good, None)
        self.refused("no_token", good, None, Authorization=f"Basic {token}")
        self.refused("no_token", good, None, path=f"/api/v1/corrections?token={token}")
        self.refused("wrong_token", good, gone)
        self.refused("wrong_token", good, token[:-1])
        self.refused("wrong_token", good, token + "0")
        self.refused("expired", good, ended)
        self.assertIn("correct", self.refused("wrong_scope", good, other)[1])
        self.refused("wrong_scope", good, token, path="/api/v1/maintenance")
        for host in ("evil.example", "127.0.0.1.evil.example"):
            self.refused("wrong_host", good, token, Host=host)
        self.refused("too_large", " " * (16 * 1024 + 1), token, Content_Type="application/json")
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
            self.refused("unsupported_type", json.dumps(good), token, Content_Type=kind)
        for text in ("", "{", "[]", "7", '{"series": "a/level",}', '{"reason": "a", "reason": "b"}',
                     '{"reason": "\ud800"}', b'{"reason": "\xff"}', "[" * 8000, '{"a": ' * 2000,
                     json.dumps(good) + "x", '{"from": 99999999999999999999}'):
            text = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
            self.refused("bad_json", text, token, Content_Type="application/json")
        for change, code in (
                ({"series": "a/none"}, "unknown_series"), ({"series": "z/level"}, "unknown_series"),
                ({"series": "level"}, "bad_request"), ({"series": None}, "bad_request"),
                ({"from": 2 * 10 ** 12}, "bad_request"), ({"from": "yesterday"}, "bad_request"),
                ({"from": 1}, "bad_request"), ({"to": 1.5e12}, "bad_request"), ({"to": ""}, "bad_request"),
                ({"change": "rescale"}, "bad_request"), ({"change": "delete"}, "bad_request"),
                ({"change": "rescale", "scale": 0.1}, "bad_request"),
                ({"change": "rescale", "scale": "1e3"}, "bad_request"), ({"scale": "2"}, "bad_request"),
                ({"change": "reassign", "target": "a/none"}, "unknown_series"),
                ({"change": "reassign", "target": "a/volts"}, "conflict"),
                ({"reason": ""}, "bad_request"), ({"by": "L" * 61}, "bad_request"),
                ({"author": "Lan"}, "bad_request"), ({"details": {}}, "bad_request"),
                ({"work": "swap"}, "bad_request"), ({"undo": "x"}, "bad_request")):
            self.refused(code, {**good, **change}, token)
        self.refused("unknown_correction", {"undo": "nope", "reason": "x"}, token)
        self.refused("conflict", {"series": "a/*", "reason": "x"}, token, path="/api/v1/retirements")
        self.refused("unknown_series", {"series": "z/*", "reason": "x"}, token, path="/api/v1/retirements")
        self.refused("unknown_request", None, token, "/api/v1/requests/0123456789abcdef", "GET")
        self.refused("unknown_request", None, token, "/api/v1/requests/0123456789abcdef00", "GET")
        self.refused("no_token", None, None, "/api/v1/requests/0123456789abcdef", "GET")
        for method in ("GET", "PUT", "DELETE", "OPTIONS"):
            self.refused("method_not_allowed", None, token, method=method)
        self.file(good, token)
        self.held(good, token, [gone, ended, other])
        until(lambda: not os.listdir(self.gw.db + ".requests"), 30, "what was done to tokens, sealed")
        self.assertEqual(self.gw_sql("SELECT count(*) FROM event WHERE code = 'request.asked'"), [(0,)])
        self.assertEqual(self.entries("correct", "maintain", "retire"), [])

    def file(self, good, token):
        """What is kept of tokens: their hashes, for the owner alone."""
        path = self.gw.db + ".tokens"
        with open(path, encoding="ascii") as f:
            text = f.read()
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertNotIn(token, text)
        self.assertNotIn(token[4:], text)
        self.assertIn(fp.sha256(token.encode()).hex(), text)
        self.assertNotIn(token, self.gw.proc.text())
        listed = self.cli("token", "list").stdout.splitlines()
        self.assertEqual([x.split()[:2] for x in listed], [
            ["lab-1", "correct,retire"], ["ended", "correct"], ["other", "maintain"]])
        self.assertIn("ended 20", listed[1])
        os.chmod(path, 0o644)
        self.assertIn("chmod 600", self.refused("unavailable", good, token)[1])
        os.chmod(path, 0o600)
        write(path, text + "lan correct 1 0 00\n", 0o600)
        self.refused("unavailable", good, token)
        write(path, text, 0o600)
        for args in (["add", "--name", "lab-1", "--scope", "correct"], ["remove", "--name", "nobody"]):
            self.cli("token", *args, codes=(1,))
        for args in ([], ["show"], ["add"], ["add", "--name", "x"], ["add", "--name", "x", "--scope", "all"],
                     ["add", "--name", "a b", "--scope", "correct"], ["remove"], ["list", "--name", "x"],
                     ["add", "--name", "x", "--scope", "correct", "--expires", "soon"]):
            self.cli("token", *args, codes=(2,))

    def held(self, good, token, wrong):
        """Wrong tokens are held up, longer each time; a right one never waits for them."""
        delays = []
        for _ in range(12):
            headers, _ = self.refused_one_of({"wrong_token", "rate"}, good, wrong[0])
            if "retry-after" in headers:
                delays.append(int(headers["retry-after"]))
                self.assertEqual(self.ask("POST", "/api/v1/corrections", {}, token)[0], 400)
                until(lambda: self.ask("POST", "/api/v1/corrections", {}, wrong[0])[0] == 401, 30,
                      "the end of the delay", 0.1)
            if len(delays) == 2:
                break
        self.assertEqual(delays, [1, 2])
        told = self.gw_sql("SELECT text FROM event WHERE code = 'token.wrong'")
        self.assertTrue(all(t not in x for x, in told for t in (token, *wrong)))

    def refused_one_of(self, codes, body, token):
        _, headers, said = self.ask("POST", "/api/v1/corrections", body, token)
        self.assertIn(said["code"], codes)
        return headers, said["detail"]


def csv_rows_of(text):
    head = text.split("\n", 1)[0]
    return [dict(zip(head.split(","), row)) for row in csv_rows(text, head)]


if __name__ == "__main__":
    socket.setdefaulttimeout(60)
    main(needs=("fieldpost", "fieldpost-city", "fieldpost-sim"))
