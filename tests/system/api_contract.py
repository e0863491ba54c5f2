"""Every answer of every path of gateway/doc/openapi.yaml, from a real gateway with real data between the
simulator and the real city: each status and type is in the document, each body fits its schema; what is in
the document is served, and what is served is in the document."""
import csv
import http.client
import io
import json
import os
import re
import struct
import subprocess
import sys
import time

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import api  # noqa: E402
from fp_proc import main, run, until  # noqa: E402

SPEC = api.SPEC


class Stream:
    """The events of /api/v1/live."""

    def __init__(self, case, query="", timeout=20):
        self.c = http.client.HTTPSConnection("127.0.0.1", case.port, timeout=timeout, context=case.trust)
        self.c.request("GET", "/api/v1/live" + query, headers={"Authorization": "Bearer " + case.reader()})
        self.r = self.c.getresponse()

    def event(self):
        """(name, data)"""
        name = data = None
        while True:
            line = self.r.readline().decode()
            if line == "":
                raise EOFError
            if line == "\n" and name:
                return name, json.loads(data)
            key, _, value = line.rstrip("\n").partition(": ")
            name, data = (value, data) if key == "event" else (name, value) if key == "data" else (name, data)

    def until(self, wanted):
        while True:
            name, data = self.event()
            if name == wanted:
                return data

    def close(self):
        self.r.close()
        self.c.close()


class Contract(api.Api):
    def get(self, path, token=None, method="GET", body=None):
        """(status, headers, bytes); type and JSON are what the document says. token "": none; None: that of
        whoever stands at the box."""
        token = self.reader() if token is None else token
        c = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self.trust)
        try:
            c.request(method, path, body, {"Authorization": f"Bearer {token}"} if token else {})
            r = c.getresponse()
            headers = {k.lower(): v for k, v in r.getheaders()}
            data = b"" if headers["content-type"].startswith("text/event-stream") else r.read()
        finally:
            c.close()
        op = api.operation(method, path)
        answer = op["responses"].get(str(r.status)) or op["responses"].get(f"{r.status // 100}XX")
        answer = api.resolved(answer)
        kind = headers["content-type"].split(";")[0]
        self.assertIn(kind, answer["content"], (path, r.status))
        if kind.endswith("json"):
            self.assertEqual(api.faults(answer["content"][kind]["schema"], json.loads(data)), [], (path, data))
        self.tried.add((method, api_path(path)))
        return r.status, headers, data

    def json(self, path, **more):
        status, _, data = self.get(path, **more)
        self.assertEqual(status, 200, (path, data))
        return json.loads(data)

    def fits(self, name, data):
        self.assertEqual(api.faults({"$ref": f"#/components/schemas/{name}"}, data), [], data)

    def test_contract_of_every_path(self):
        self.tried = set()
        metrics, prober = self.token("prom", "metrics"), self.token("tech", "probe")
        now = time.time_ns() // 1_000_000
        until(lambda: self.json("/api/v1/city")["uplinks"][0]["receipts"], 30, "a receipt")
        self.json("/api/v1/advice")
        self.values()
        self.calibration()
        self.charts(now)
        self.single_readings()
        self.past()
        self.city_side()
        self.about()
        self.live()
        self.metrics(self.get("/metrics", metrics)[2])
        self.assertEqual(self.get("/metrics", prober)[0], 403)
        self.assertEqual(self.get("/metrics", "")[0], 401)
        self.assertEqual(self.get("/api/v1/messages")[0], 403)  # no token gets them
        self.assertEqual(self.json("/api/v1/alarms")["alarms"], [])
        self.assertEqual(self.get("/api/v1/alarms/flood/acknowledgement", method="POST")[0], 403)  # none does this
        self.assertEqual(self.json("/healthz"), {"ok": True})
        self.survey()
        self.sealed_value()
        self.probe(prober)
        self.writes()
        self.people()
        status, _, served = self.get("/api/v1/openapi.yaml")
        self.assertEqual((status, yaml.safe_load(served)), (200, SPEC))
        documented = {(m.upper(), p) for p, item in SPEC["paths"].items() for m in item}
        self.assertEqual(documented - self.tried, set(), "in the document, and never asked for here")
        self.assertEqual(self.tried - documented, set())
        self.assertEqual(documented, routes())
        for method, path in documented:
            path = re.sub(r"\{\w+\}", "1", path)
            self.assertEqual(self.ask(method, path, Host="evil.example")[0], 421)
        self.assertEqual(self.ask("GET", "/api/v1/none")[0], 404)
        for schema in SPEC["components"]["schemas"].values():
            api.Draft202012Validator.check_schema(schema)

    def values(self):
        """A value set at the simulator is one in series, device and why alike, with its registers."""
        shown = {}
        for p in self.json("/api/v1/series?device=b")["series"]:
            shown[p["point"]] = p["value"]
        self.assertEqual(shown["volts"], 231)
        d = self.json("/api/v1/devices/b")
        volts = next(p for p in d["points"] if p["point"] == "volts")
        self.assertEqual((volts["value"], volts["raw"]), (231, {
            "function": 3, "address": 12, "registers": [f"{2310:04x}"], "type": "u16", "order": "ABCD",
            "scale": 0.1, "offset": 0}))
        level = next(p for p in d["points"] if p["point"] == "level")
        raw = struct.unpack(">h", bytes.fromhex(level["raw"]["registers"][0]))[0]
        self.assertTrue(abs(raw / 10 - level["value"]) < 0.35, level)  # a ramp: a poll may lie between
        self.assertEqual((d["profile"]["name"], d["profile"]["model"], d["profile"]["verified"]),
                         ("./p.yaml", "test", False))
        self.assertEqual(self.get("/api/v1/devices/none")[0], 404)
        why = self.json("/api/v1/why?series=b/volts")
        self.assertEqual(why["point"]["raw"], volts["raw"])
        self.assertEqual((why["gateway"], why["calibration"], why["humidity"]), (self.gw.gw, None, None))
        self.assertIsNotNone(why["last_batch"])
        self.assertEqual(self.get("/api/v1/why?series=b/none")[0], 404)
        self.assertEqual(self.get("/api/v1/why")[0], 400)
        bus = self.json("/api/v1/status")["buses"][0]
        self.assertEqual((bus["line"], bus["devices"]), ("modbus-tcp", 2))
        self.assertGreater(bus["planned_load"], 0)
        self.assertGreater(bus["polls"], 0)
        self.json("/api/v1/events?limit=200")

    def calibration(self):
        token = self.token("lab", "maintain")
        at = time.time_ns() // 1_000_000 - 60_000
        self.sealed("/api/v1/maintenance", {"series": "b/*", "work": "calibration", "from": at, "to": at + 1000},
                    token)
        self.tried |= {("POST", "/api/v1/maintenance"), ("GET", "/api/v1/requests/{id}")}
        self.assertEqual(self.json("/api/v1/why?series=b/volts")["calibration"],
                         {"series": "b/*", "from_ms": at, "to_ms": at + 1000})

    def charts(self, now):
        """The table is the chart; series with one question lie beside each other; a gap says why."""
        ask = f"&from={now - 20000}&to={now}&points=20"
        a, b = (self.json(f"/api/v1/chart?series={s}{ask}") for s in ("a/volts", "b/level"))
        self.assertEqual((a["from_ms"], a["step_ms"], len(a["count"])), (b["from_ms"], b["step_ms"], 20))
        status, headers, data = self.get(f"/api/v1/chart.csv?series=b/level{ask}")
        self.assertEqual((status, headers["content-disposition"]), (200, 'attachment; filename="b-level.csv"'))
        rows = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
        self.assertEqual(len(rows), 20)
        for i, row in enumerate(rows):
            self.assertEqual((row["series"], row["unit"], int(row["from_ms"])),
                             ("b/level", "kg", b["from_ms"] + i * b["step_ms"]))
            cells = [b[k][i] for k in ("min", "max")] if b["count"][i] else ["", ""]
            self.assertEqual([float(x) if x else "" for x in (row["min"], row["max"])], cells)
        self.assertTrue(any(int(r["count"]) for r in rows))
        before = f"/api/v1/chart.csv?series=b/level&from={now - 3600000}&to={now}&points=60"
        self.assertTrue(any(r["count"] == "0" for r in csv.DictReader(io.StringIO(self.get(before)[2].decode()))))
        self.assertEqual(self.get("/api/v1/chart.csv?series=b/level&from=x&to=1")[0], 400)
        self.assertEqual(self.get(f"/api/v1/chart.csv?series=b/none{ask}")[0], 404)
        self.assertEqual(self.get(f"/api/v1/chart?series=b/none{ask}")[0], 404)

    def readings_of(self, query, lang="en"):
        status, headers, data = self.get(f"/api/v1/readings.csv?{query}&lang={lang}")
        self.assertEqual(status, 200, data)
        self.assertEqual(headers["content-type"], "text/csv; charset=utf-8; header=present")
        self.assertTrue(data.endswith(b"\r\n"))
        return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))

    def single_readings(self):
        """The table has the readings that `export` has, each once, with both times and words for the flags."""
        rows = [r for r in self.gw.export() if r[4] and r[0] in ("a/volts", "b/level")]
        first, last = (int(f(rows, key=lambda r: int(r[1]))[1]) for f in (min, max))
        said = self.readings_of(f"series=a/volts,b/level&from={first}&to={last + 1}")
        self.assertEqual(sorted((r["series"], r["ts_ms"], r["value"], r["chain"], r["seq"]) for r in said if r["chain"]),
                         sorted((r[0], r[1], r[2], r[4], r[5]) for r in rows if int(r[1]) <= last))
        self.assertGreater(len(said), 20)
        for r in said:
            utc = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(int(r["ts_ms"]) // 1000))
            local = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(int(r["ts_ms"]) // 1000 + 7 * 3600))
            self.assertRegex(r["time_utc"], rf"^{utc}(\.\d+)?Z$")
            self.assertRegex(r["time_local"], rf"^{local}(\.\d+)?\+07:00$")
            self.assertEqual((r["unit"], r["state"], r["value_read"], r["series_read"]),
                             ({"a/volts": "V", "b/level": "kg"}[r["series"]], "as read", r["value"], r["series"]))
        self.assertEqual({r["quality"] for r in said}, {"good"})
        self.sealed("/api/v1/maintenance", {"series": "b/level", "work": "calibration", "from": first, "to": first + 1000},
                    self.token("lab-3", "maintain"))
        doubt = self.readings_of(f"series=b/level&from={first}&to={first + 1000}", "vi")
        self.assertEqual({(r["quality"], r["state"]) for r in doubt}, {("đang hiệu chuẩn", "như đã đọc")})
        for bad in (f"series=a/volts&from={first}", f"series=volts&from={first}&to={last}", f"series=a/volts&from={last}&to={first}",
                    f"series=a/volts&from={first}&to={first + 32 * 86400000}", f"series=a/volts&from={first}&to={last}&lang=fr",
                    "series=" + ",".join(["a/volts"] * 9) + f"&from={first}&to={last}"):
            self.assertEqual(self.get("/api/v1/readings.csv?" + bad)[0], 400, bad)
        self.assertEqual(self.get(f"/api/v1/readings.csv?series=a/none&from={first}&to={last}")[0], 404)

    def past(self):
        """Why, of a past value: as it was read and as it counts now, who corrected it and for what reason, and
        the batch that `export` names."""
        lab = self.token("lab-2", "correct")
        rows = {int(r[1]): r for r in self.gw.export("--raw") if r[4] and r[0] == "b/level"}
        t = sorted(rows)
        taken, scaled, plain = t[1], t[3], t[5]
        def why(at):
            return self.json(f"/api/v1/why/past?series=b/level&at={at}&within_ms=500")
        x = why(plain)
        self.assertEqual((x["reading"]["state"], x["reading"]["t_ms"], x["corrections"], x["serial_noted"]), ("as_read", plain, [], False))
        self.assertEqual(x["reading"]["value"], float(rows[plain][2]))
        self.assertEqual((x["batch"]["chain"], str(x["batch"]["seq"])), tuple(rows[plain][4:6]))
        self.assertLessEqual(x["held_from_ms"], plain)
        told = [({"from": taken, "to": taken + 1, "change": "invalidate", "reason": "nhện"}, "Lan"),
                ({"from": scaled, "to": scaled + 1, "change": "rescale", "scale": "0.5", "offset": -1, "reason": "wrong cell"}, "Vy")]
        places = [self.sealed("/api/v1/corrections", {"series": "b/level", "by": by, **c}, lab) for c, by in told]
        self.tried.add(("POST", "/api/v1/corrections"))
        x = why(taken)
        self.assertEqual((x["reading"]["state"], x["reading"]["value"], x["reading"]["value_read"]), ("taken_back", None, float(rows[taken][2])))
        self.assertEqual([(c["change"], c["author"], c["reason"], c["chain"], c["seq"]) for c in x["corrections"]],
                         [("invalidate", "lab-2: Lan", "nhện", places[0]["chain"], places[0]["seq"])])
        x = why(scaled)
        self.assertEqual((x["reading"]["state"], x["reading"]["value_read"]), ("corrected", float(rows[scaled][2])))
        self.assertAlmostEqual(x["reading"]["value"], float(rows[scaled][2]) / 2 - 1)
        self.assertEqual([(c["change"], c["scale"], c["offset"], c["author"], c["reason"], c["id"]) for c in x["corrections"]],
                         [("rescale", 0.5, -1, "lab-2: Vy", "wrong cell", places[1]["correction"])])
        states = {int(r["ts_ms"]): r for r in self.readings_of(f"series=b/level&from={t[0]}&to={plain + 1}")}
        self.assertEqual([states[k]["state"] for k in (taken, scaled, plain)], ["taken back", "corrected", "as read"])
        self.assertEqual((states[taken]["value"], states[taken]["value_read"]), ("", rows[taken][2]))
        x = self.json("/api/v1/why/past?series=b/level&at=2001-01-01")
        self.assertEqual((x["reading"], x["batch"], x["corrections"]), (None, None, []))
        for bad in ("series=b/level", "series=b/level&at=x", "at=2001-01-01", "series=b/level&at=2001-01-01&within_ms=x"):
            self.assertEqual(self.get("/api/v1/why/past?" + bad)[0], 400)
        self.assertEqual(self.get("/api/v1/why/past?series=b/none&at=2001-01-01")[0], 404)

    def city_side(self):
        city = self.json("/api/v1/city")
        up = city["uplinks"][0]
        self.assertEqual((city["refused"], city["voided"]), ([], []))
        self.assertGreater(up["today"]["readings"], 0)
        self.assertLessEqual(up["today"]["readings_acknowledged"], up["today"]["readings"])
        rows = len(self.city.rows())
        later = self.json("/api/v1/city")["uplinks"][0]["today"]
        self.assertLessEqual(rows, later["readings"])
        self.assertGreaterEqual(rows + 400, up["today"]["readings_acknowledged"])
        first = up["receipts"][0]
        self.assertIn((first["chain"], first["seq"]), [(r["chain"], r["seq"]) for r in up["receipts"]])
        self.assertEqual(self.get("/api/v1/digest.svg")[0], 404)  # no day is over yet

    def about(self):
        about = self.json("/api/v1/about")
        der = subprocess.run(["openssl", "pkey", "-pubin", "-in", self.gw.pub_path, "-outform", "DER"],
                             check=True, capture_output=True).stdout
        print_ = api.fp.sha256(der).hex()
        self.assertEqual(about["key"], {"kid": print_[:16], "sha256": print_})
        with open(self.gw.conf, "rb") as f:
            self.assertEqual(about["config"], api.fp.sha256(f.read()).hex())
        linked = set(re.findall(r"(?m)^\s*(?:\S*/)?(\S+\.so[.\d]*) ", run(["ldd", self.gw.exe]).stdout))
        said = {re.match(r".*?\.so", x["file"])[0] for x in about["libraries"]}
        self.assertEqual({x for x in linked if re.match(r".*?\.so", x)[0] not in said} - {"linux-vdso.so.1"}, set())
        self.assertEqual([x["file"] for x in about["libraries"] if not x["licence"]], [])

    def metrics(self, text):
        """Prometheus' own judge finds nothing to say: form, HELP and TYPE, names, units, _total."""
        r = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
        self.assertEqual((r.returncode, r.stdout + r.stderr), (0, b""))
        for line in (rb'fieldpost_device_up{device="a"} 1', rb'fieldpost_uplink_online{uplink="city"} 1',
                     rb'fieldpost_readings_total{device="b"} [1-9]\d*'):
            self.assertRegex(text, rb"(?m)^" + line + b"$")

    def live(self):
        """All of it first, then what changes, with the age of each value; a beat when nothing does."""
        s = Stream(self, "?device=b")
        self.assertEqual(s.r.status, 200)
        self.tried.add(("GET", "/api/v1/live"))
        name, hello = s.event()
        self.fits("LiveHello", hello)
        self.assertEqual((name, hello["boot"]), ("hello", self.json("/api/v1/about")["boot"]))
        states = s.until("states")
        self.fits("LiveStates", states)
        self.assertEqual({d["id"] for d in states["devices"]}, {"a", "b"})
        seen = {}
        for _ in range(3):
            readings = s.until("readings")
            self.fits("LiveReadings", readings)
            self.assertEqual(list(readings["devices"]), ["b"])
            for point, value, t_ms, age_ms, q, missing in readings["devices"]["b"]:
                self.assertEqual((q, missing), (0, None))
                self.assertLess(age_ms, 5000)
                self.assertNotEqual(seen.get(point, (0, 0))[1], t_ms)
                seen[point] = (value, t_ms)
        self.assertEqual(seen["volts"][0], 231)
        s.close()
    def sealed_value(self):
        """The devices gone, the last value stands, ages, and is in a batch that the city signed for; then live
        says that they are silent, and with nothing else to tell it beats."""
        s = Stream(self, timeout=30)
        s.until("states")
        self.sim.kill()
        gone = set()
        while gone < {"a", "b"}:
            states = s.until("states")
            self.fits("LiveStates", states)
            gone |= {d["id"] for d in states["devices"] if d["state"] == "silent"}

        def why():
            x = self.json("/api/v1/why?series=b/volts")
            return x["batch"] and [(u["id"], u["acknowledged"]) for u in x["batch"]["uplinks"]] == [("city", True)] and x
        x = until(why, 30, "the receipt of the last value")
        self.assertEqual((x["point"]["value"], x["point"]["missing"]), (231, "bus"))
        self.assertLessEqual(x["batch"]["from_ms"], x["point"]["t_ms"])
        self.assertLess(x["point"]["t_ms"], x["batch"]["to_ms"])
        held = [r for r in self.city.rows() if r[1] == "b/volts" and r[2] == str(x["point"]["t_ms"])]
        self.assertEqual([(r[5], int(r[6])) for r in held], [(x["batch"]["chain"], x["batch"]["seq"])])
        s.close()

    def probe(self, token):
        path = "/api/v1/buses/plant/units/2/probe"
        self.assertEqual(self.get(path, "", "POST")[0], 401)
        self.assertEqual(self.get(path, token, "POST")[0], 202)
        for bad, status in (("none/units/2", 404), ("plant/units/99", 404), ("plant/units/256", 400),
                            ("plant/units/x", 400)):
            self.assertEqual(self.get(f"/api/v1/buses/{bad}/probe", token, "POST")[0], status, bad)
        told = "SELECT subject, text FROM event WHERE code = 'bus.probe'"
        until(lambda: self.gw_sql(told) == [("plant", "tech has unit 2 asked now")], 30, "the event of the probe")

    def survey(self):
        """Without an outline there is none; with one the answer fits the document, also without samples."""
        self.assertEqual(self.json("/api/v1/status")["survey"], {"area": False, "walks": False, "browser": False})
        ask = "/api/v1/survey.geojson?from=2026-01-01&to=2026-12-31"
        self.assertEqual(self.get(ask)[0], 404)
        self.assertEqual(self.get(ask, "")[0], 401)
        self.assertEqual(self.get("/api/v1/position", "", "POST", "{}")[0], 401)

    def writes(self):
        """What changes something is refused without a token, in the words of the document; api.py has the rest."""
        for path in ("corrections", "retirements", "slips", "readings", "maintenance"):
            self.assertEqual(self.get("/api/v1/" + path, "", "POST", "{}")[0], 401)
        self.assertEqual(self.get("/api/v1/requests/0123456789abcdef", "")[0], 401)


    def person(self, method, path, status, body=None, **headers):
        got, self.headers, said = self.ask(method, path, body, **headers)
        self.assertEqual(got, status, (method, path, said))
        self.tried.add((method, api_path(path)))
        return said

    def people(self):
        """The first administrator, users, tokens, and the way out."""
        self.person("GET", "/api/v1/session", 401)
        code = self.cli("user", "claim").stdout.strip()
        said = self.person("POST", "/api/v1/first", 200, {"code": code, "name": "lan", "password": "a long password"})
        by = {"Cookie": self.headers["set-cookie"].split(";")[0], "X_CSRF_Token": said["csrf"]}
        self.person("GET", "/api/v1/session", 200, **by)
        self.person("POST", "/api/v1/users", 201, {"name": "vy", "role": "viewer", "password": "a long password"}, **by)
        said = self.person("POST", "/api/v1/session", 200, {"name": "vy", "password": "a long password"})
        viewer = {"Cookie": self.headers["set-cookie"].split(";")[0], "X_CSRF_Token": said["csrf"]}
        self.person("GET", "/api/v1/messages", 403, **viewer)
        self.assertEqual(self.person("GET", "/api/v1/messages", 200, **by), {"card": None, "messages": []})
        self.person("POST", "/api/v1/alarms/flood/acknowledgement", 403, **viewer)
        self.person("POST", "/api/v1/alarms/flood/acknowledgement", 404, **by)
        self.person("PUT", "/api/v1/users/vy", 200, {"role": "technician"}, **by)
        self.person("GET", "/api/v1/users", 200, **by)
        self.person("DELETE", "/api/v1/users/vy", 204, **by)
        self.person("DELETE", "/api/v1/users/vy", 404, **by)
        self.person("POST", "/api/v1/tokens", 201, {"name": "t-1", "scopes": "read,push"}, **by)
        self.person("GET", "/api/v1/tokens", 200, **by)
        self.person("DELETE", "/api/v1/tokens/t-1", 204, **by)
        self.person("POST", "/api/v1/password", 401, {"password": "no such one", "new": "a longer password"}, **by)
        self.person("DELETE", "/api/v1/session", 204, **by)
        self.person("GET", "/api/v1/users", 401, **by)


def api_path(path):
    for pattern in SPEC["paths"]:
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern).replace(".csv", r"\.csv"), path.split("?")[0]):
            return pattern
    return path


def routes():
    """What the gateway serves but for the page's files."""
    with open(os.path.join(api.ROOT, "gateway/web/web.c"), encoding="utf-8") as f:
        return set(re.findall(r'\{"([A-Z]+)", "(/api/\S+|/healthz|/metrics)"', f.read()))

if __name__ == "__main__":
    main(needs=("fieldpost", "fieldpost-city", "fieldpost-sim"))
