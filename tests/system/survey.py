"""The survey: samples of phones by their files and of the gateway's own walk, against an oracle that
shares neither code nor method with the product; and the walk itself, with the real gpsd fed by NMEA over a
pseudo-terminal, the real city, and a modem that plays."""
import collections
import datetime
import http.server
import json
import math
import os
import pty
import random
import resource
import signal
import subprocess
import sys
import threading
import time
import tty

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
sys.path.insert(0, HERE)
import api  # noqa: E402
from fp_proc import Case, City, Gateway, free_port, main, run, until, write  # noqa: E402
from fp_warp import Warp  # noqa: E402
from modem import Modem  # noqa: E402

HANOI = datetime.timezone(datetime.timedelta(hours=7))
OPERATORS = {45204: "Viettel", 45202: "Vinaphone", 45201: "MobiFone"}
CELL = 100
# a ward with a lake in it and a part apart, longitude first
OUTLINE = [(108.930, 14.801), (108.951, 14.795), (108.972, 14.806), (108.968, 14.822), (108.975, 14.838),
           (108.949, 14.845), (108.934, 14.833), (108.940, 14.818)]
LAKE = [(108.948, 14.812), (108.957, 14.811), (108.959, 14.821), (108.950, 14.824)]
APART = [(108.982, 14.810), (108.989, 14.811), (108.986, 14.819)]


# ---- the oracle ---------------------------------------------------------------------------------

def winding(ring, x, y):
    """How often a ring goes around the point: by angles, not by crossings."""
    turn = 0.0
    for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1]):
        a = math.atan2(y2 - y, x2 - x) - math.atan2(y1 - y, x1 - x)
        turn += (a + math.pi) % (2 * math.pi) - math.pi
    return round(turn / (2 * math.pi))


def inside(lon, lat):
    return bool(winding(OUTLINE, lon, lat) and not winding(LAKE, lon, lat) or winding(APART, lon, lat))


def metres_of_a_degree(lat):
    """By the series of the meridian and of the parallel (Snyder), good to a millimetre."""
    f = math.radians(lat)
    return (111132.92 - 559.82 * math.cos(2 * f) + 1.175 * math.cos(4 * f) - 0.0023 * math.cos(6 * f),
            111412.84 * math.cos(f) - 93.5 * math.cos(3 * f) + 0.118 * math.cos(5 * f))


class Oracle:
    kept = None

    @classmethod
    def usual(cls):
        cls.kept = cls.kept or cls(CELL)
        return cls.kept

    def __init__(self, cell):
        corners = OUTLINE + APART
        lats, lons = [c[1] for c in corners], [c[0] for c in corners]
        self.lat0 = math.floor((min(lats) + max(lats)) / 2 * 10) / 10
        self.lon0 = math.floor((min(lons) + max(lons)) / 2 * 10) / 10
        self.high, self.wide = (cell / m for m in metres_of_a_degree(self.lat0 + 0.05))
        rows = range(math.floor((min(lats) - self.lat0) / self.high) - 1,
                     math.ceil((max(lats) - self.lat0) / self.high) + 1)
        cols = range(math.floor((min(lons) - self.lon0) / self.wide) - 1,
                     math.ceil((max(lons) - self.lon0) / self.wide) + 1)
        self.cells = {(r, c) for r in rows for c in cols
                      if inside(self.lon0 + (c + 0.5) * self.wide, self.lat0 + (r + 0.5) * self.high)}

    def judge(self, samples):
        """{(operator, date): counts} of (time_ms, lat, lon, plmn, tech, rsrp or None)."""
        parts = collections.defaultdict(collections.Counter)
        seen = collections.defaultdict(list)
        for t, lat, lon, plmn, tech, rsrp in set(samples):
            day = datetime.datetime.fromtimestamp(t / 1000, HANOI).date().isoformat()
            part = parts[str(plmn), day]
            part["samples"] += 1
            cell = (math.floor((lat - self.lat0) / self.high), math.floor((lon - self.lon0) / self.wide))
            if not inside(lon, lat):
                part["outside"] += 1
            elif cell not in self.cells:
                part["edge"] += 1
            elif tech != "lte" and rsrp is None:
                part["unjudged"] += 1
            else:
                seen[str(plmn), day, cell].append(tech != "lte" and rsrp >= -110)
        for (plmn, day, _), verdicts in seen.items():
            parts[plmn, day]["visited"] += 1
            parts[plmn, day]["covered"] += sum(verdicts) >= len(verdicts) / 2
        return parts


def clear(lat, lon):
    """Not on the border of a cell, where two methods may differ by their last digit."""
    o = Oracle.usual()
    return all(0.001 < x % 1 < 0.999 for x in ((lat - o.lat0) / o.high, (lon - o.lon0) / o.wide))


def draw(rng, n, day):
    """Samples on a walk, some beyond the edge."""
    begin = datetime.datetime(2026, 11, day, 8, tzinfo=HANOI).timestamp() * 1000
    out = []
    for i in range(n):
        tech = rng.choice(["lte", "sa", "nr", "sa"])
        lat = lon = None
        while lat is None or not clear(lat, lon):
            lat, lon = round(rng.uniform(14.79, 14.85), 6), round(rng.uniform(108.925, 108.995), 6)
        out.append((int(begin) + 30000 * i, lat, lon, rng.choice(list(OPERATORS)), tech,
                    None if rng.random() < 0.1 and tech != "lte" else rng.randint(-125, -70)))
    return out


# ---- files as the apps write them -----------------------------------------------------------------

def local(t, form):
    return datetime.datetime.fromtimestamp(t / 1000, HANOI).strftime(form)


def g_nettrack(samples):
    """Tabs, a tab at the end, times as its log has them."""
    names = {"lte": ("4G", "LTE"), "sa": ("5G", "NR SA"), "nr": ("5G", "NR")}
    yield ("Timestamp\tLongitude\tLatitude\tSpeed\tOperator\tMCC-MNC\tCGI\tCellName\tNode\tCellID\tLAC\t"
           "NetworkTech\tNetworkMode\tLevel\tQual\tSNR\tCQI\tARFCN\tDL_bitrate\tUL_bitrate\t\n")
    for t, lat, lon, plmn, tech, rsrp in samples:
        yield (f"{local(t, '%Y.%m.%d_%H.%M.%S')}\t{lon}\t{lat}\t3\t{OPERATORS[plmn]}\t452-{plmn % 100:02}\tx\t\t\t1\t"
               f"2\t{names[tech][0]}\t{names[tech][1]}\t{'-' if rsrp is None else rsrp}\t-11\t7\t9\t1300\t20\t3\t\n")


def network_survey(samples):
    """Of 5G cells: commas, comments before the head, CRLF."""
    yield "# Created by Network Survey version=1.43\r\n# CSV Version=0.4.0\r\n"
    yield ("deviceTime,latitude,longitude,altitude,speed,accuracy,mcc,mnc,tac,nci,narfcn,pci,ssRsrp,ssRsrq,ssSinr,"
           "servingCell,provider,locationAge\r\n")
    for t, lat, lon, plmn, tech, rsrp in samples:
        assert tech == "nr"
        yield (f"{local(t, '%Y-%m-%dT%H:%M:%S+07:00')},{lat},{lon},9.5,1,4,452,{plmn % 100:02},1,2,627264,3,"
               f"{'' if rsrp is None else rsrp},-11,7,true,\"{OPERATORS[plmn]}, VN\",900\r\n")
        yield f"{local(t, '%Y-%m-%dT%H:%M:%S+07:00')},{lat},{lon},9.5,1,4,,,,,627264,8,-120,-11,,false,,900\r\n"


def spreadsheet(samples):
    """What a spreadsheet makes of it here: a BOM, semicolons, decimal commas, quotes."""
    yield "\ufeff\"Time\";\"Latitude\";\"Longitude\";\"MCC\";\"MNC\";\"Technology\";\"RSRP (dBm)\"\r\n"
    for t, lat, lon, plmn, tech, rsrp in samples:
        yield (f"{local(t, '%d.%m.%Y %H:%M:%S')};\"{str(lat).replace('.', ',')}\";{str(lon).replace('.', ',')};452;"
               f"{plmn % 100};{tech};{'' if rsrp is None else str(rsrp) + ',0'}\r\n")


class Ward(Case):
    def setUp(self):
        super().setUp()
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        ring = [list(map(list, r + r[:1])) for r in (OUTLINE, LAKE, APART)]
        self.area = write(os.path.join(self.folder, "ward.geojson"), json.dumps(
            {"type": "FeatureCollection", "features": [
                {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": ring[:2]}},
                {"type": "Feature", "properties": {}, "geometry": {"type": "MultiPolygon",
                                                                   "coordinates": [ring[2:]]}}]}))
        self.gw.config(f"""connectivity:
  survey: {{area: {self.area}, cell: {CELL}, visited_min: 20}}
""")

    def survey(self, *words, code=0, **more):
        p = subprocess.run([self.gw.exe, "survey", words[0], "--config", self.gw.conf, *words[1:]], text=True,
                           capture_output=True, check=False, **more)
        self.assertEqual(p.returncode, code, p.stdout + p.stderr)
        return p

    def file(self, name, lines):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8", newline="") as f:
            f.writelines(lines)
        return path

    def report(self):
        return json.loads(self.survey("report", "--format", "geojson").stdout)

    def agrees(self, samples):
        """Counts, cells and shares are the oracle's."""
        oracle = Oracle(CELL)
        want, got = oracle.judge(samples), self.report()
        parts = {(p["operator"], p["date"]): p for p in got["survey"]["parts"]}
        self.assertEqual(set(parts), set(want))
        for key, part in parts.items():
            self.assertEqual(part["all"], len(oracle.cells))
            for count in ("samples", "outside", "edge", "unjudged", "visited", "covered"):
                self.assertEqual(part[count], want[key][count], (key, count))
            enough = 5 * want[key]["visited"] >= len(oracle.cells)
            self.assertEqual("covered_percent" in part, enough)
            if enough:
                self.assertAlmostEqual(part["covered_percent"], 100 * want[key]["covered"] / want[key]["visited"],
                                       delta=0.0501)
        cells = [f["properties"] for f in got["features"] if f["properties"]["kind"] == "cell"]
        self.assertEqual({(c["row"], c["col"]) for c in cells}, oracle.cells)
        self.assertEqual(sum(c["state"] == "covered" for c in cells), sum(p["covered"] for p in want.values()))
        points = [f for f in got["features"] if f["properties"]["kind"] == "sample"]
        self.assertEqual(sorted(f["geometry"]["coordinates"] for f in points),
                         sorted([s[2], s[1]] for s in set(samples)))
        return got


class Files(Ward):
    """No gateway runs: `import` and `report` need none."""

    def test_files_of_three_apps_against_the_oracle(self):
        rng = random.Random(self.args.seed)
        one, two = draw(rng, 900, 23), draw(rng, 300, 24)
        three = [s[:4] + ("nr", s[5]) for s in draw(rng, 120, 24)]
        p = self.survey("import", self.file("a.txt", g_nettrack(one)), self.file("b.csv", spreadsheet(two)))
        outside = sum(not inside(s[2], s[1]) for s in one)
        self.assertIn(f"900 lines: 900 samples, 900 of them new, {outside} outside of the area; 0 lines", p.stdout)
        p = self.survey("import", self.file("c.csv", network_survey(three)))
        self.assertIn("240 lines: 120 samples, 120 of them new", p.stdout)
        self.assertIn("120 are of cells that did not serve", p.stdout)
        first = self.agrees(one + two + three)
        text = self.survey("report").stdout
        self.assertIn("no official one is known", text)
        # the same files once more, and one that overlaps: each sample counts once
        p = self.survey("import", *(os.path.join(self.folder, n) for n in ("a.txt", "b.csv", "c.csv")))
        self.assertEqual(p.stdout.count(", 0 of them new"), 3, p.stdout)
        self.assertEqual(self.report(), first)
        more = two[250:] + draw(rng, 50, 25)
        p = self.survey("import", self.file("d.csv", spreadsheet(more)))
        self.assertIn("100 samples, 50 of them new", p.stdout)
        self.agrees(one + two + three + more)
        self.assertEqual(len(os.listdir(self.gw.db + ".survey")), 4)
        days = json.loads(self.survey("report", "--format", "geojson", "--from", "2026-11-24T17:00:00Z").stdout)
        self.assertEqual({p["date"] for p in days["survey"]["parts"]}, {"2026-11-25"})

    def test_nothing_is_half_imported(self):
        good = draw(random.Random(1), 200, 23)
        path = self.file("a.txt", g_nettrack(good))
        folder = self.gw.db + ".survey"

        def small_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        p = self.survey("import", path, code=1, preexec_fn=small_files)
        self.assertIn(folder, p.stderr)
        self.assertEqual([n for n in os.listdir(folder) if n.endswith(".csv")], [])
        self.assertEqual(self.report()["survey"]["parts"], [])
        # bad lines are told by their number, and the others kept
        lines = list(g_nettrack(good))
        lines[3] = lines[3].replace("108.", "508.")
        lines[7] = "cut off\n"
        p = self.survey("import", self.file("b.txt", lines))
        self.assertIn(f"{self.folder}/b.txt:4: the longitude 508.", p.stderr)
        self.assertIn(f"{self.folder}/b.txt:8: 1 fields, but the first line names 20", p.stderr)
        self.assertIn("200 lines: 198 samples, 198 of them new", p.stdout)
        self.assertIn("2 lines cannot be used", p.stdout)
        self.agrees([s for i, s in enumerate(good) if i not in (2, 6)])
        # a kept file that is damaged is named, and not counted in part
        kept = os.path.join(folder, os.listdir(folder)[0])
        with open(kept, "r+b") as f:
            f.seek(2000)
            f.write(b"\n")
        self.assertIn(f"{kept}: the file is damaged", self.survey("report", code=1).stderr)

    def test_what_is_wrong_is_said(self):
        p = self.survey("import", self.file("x.csv", ["a,b,c\n1,2,3\n"]), code=1)
        self.assertIn("x.csv: its first line names no column latitude and longitude", p.stderr)
        self.assertIn("No such file", self.survey("import", "/nonexistent.csv", code=1).stderr)
        self.survey("import", code=2)
        self.survey("import", "--utc-offset", "7", "x", code=2)
        self.survey("report", "x", code=2)
        self.assertEqual(self.survey("report").stdout.splitlines()[1], "no samples")
        self.assertEqual(run([self.gw.exe, "check", "--config", self.gw.conf]).returncode, 0)
        write(self.area, '{"type": "Polygon", "coordinates": [[[108, 14], [108.1, 14], [108.1, 14.1], [108, 14.1]]]}')
        for command in (["check"], ["survey", "report"]):
            p = subprocess.run([self.gw.exe, *command, "--config", self.gw.conf], capture_output=True, text=True,
                               check=False)
            self.assertEqual(p.returncode, 2)
            self.assertIn(f"{self.area}: coordinates[0]: the ring is not closed", p.stderr)
        self.gw.config("connectivity:\n  survey: {covered_by: [5g], gpsd: gps, transfer: \"https://x\"}\n")
        p = subprocess.run([self.gw.exe, "check", "--config", self.gw.conf], capture_output=True, text=True,
                           check=False)
        for why in ('covered_by knows lte, en-dc and sa, not "5g"', "write an address and a port", "add connectivity.modem",
                    "needs the modem's interface", "begins with http://"):
            self.assertIn(why, p.stderr)


# ---- the walk -----------------------------------------------------------------------------------

def sentence(body):
    check = 0
    for c in body.encode():
        check ^= c
    return f"${body}*{check:02X}\r\n"


class Receiver:
    """What a GPS receiver sends, ten fixes a second: in the fast world, one a second."""

    def __init__(self):
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.port = os.ttyname(self.slave)
        os.chmod(self.port, 0o666)  # gpsd gives up its rights
        self.fix, self.on, self.lat, self.lon = 0, True, 14.8301, 108.9552
        self.at = datetime.datetime(2026, 11, 25, 5, 0, 0)
        self.end = threading.Event()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while not self.end.wait(0.1):
            self.at += datetime.timedelta(seconds=1)
            if self.on:
                os.write(self.master, self.report().encode())

    def report(self):
        at, day = self.at.strftime("%H%M%S.00"), self.at.strftime("%d%m%y")
        if not self.fix:
            return (sentence(f"GPRMC,{at},V,,,,,,,{day},,,N") + sentence(f"GPGGA,{at},,,,,0,00,,,M,,M,,")
                    + sentence("GPGSA,A,1,,,,,,,,,,,,,,,"))
        place = (f"{int(self.lat):02}{self.lat % 1 * 60:010.7f},N,"
                 f"{int(self.lon):03}{self.lon % 1 * 60:010.7f},E")
        return (sentence(f"GPRMC,{at},A,{place},0.0,0.0,{day},,,A")
                + sentence(f"GPGGA,{at},{place},1,08,1.0,{'12.3' if self.fix == 3 else ''},M,,M,,")
                + sentence(f"GPGSA,A,{self.fix},01,02,03,04,05,06,07,08,,,,,2.0,1.0,1.7"))


class Server(http.server.ThreadingHTTPServer):
    """What is fetched."""
    daemon_threads = True

    def __init__(self):
        self.sent = 0
        super().__init__(("127.0.0.1", 0), self.Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def end(self):
        self.shutdown()
        self.server_close()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "40000")
            self.end_headers()
            self.wfile.write(bytes(40000))
            self.server.sent += 40000

        def log_message(self, *_):
            pass


class Walk(Ward):
    PASSWORD = "a long password"
    where = None
    speed = 10
    interface = "lo"
    data = "300MB"

    def setUp(self):
        super().setUp()
        self.city = City(self.args.bin, os.path.join(self.folder, "city"))
        self.city.enroll(self.gw.gw, self.gw.pub_path)
        self.city.start()
        self.stack.callback(self.city.stop)
        self.stack.callback(self.gw.kill)
        self.modem, self.server, self.receiver = Modem(self.folder), Server(), Receiver()
        self.stack.callback(self.server.end)
        self.stack.callback(self.receiver.end.set)
        self.warp = Warp(self.args.bin, os.path.join(self.folder, "warp"), self.speed)
        self.gw.env, self.gps_port, self.gpsd = self.warp.env, free_port(), None
        self.config()

    def config(self):
        self.gw.config(f"""connectivity:
  modem: {{port: {self.modem.port}, every: 10min}}
  survey:
    area: {self.area}
    {self.where or f"gpsd: 127.0.0.1:{self.gps_port}"}
    interface: {self.interface}
    transfer: "http://127.0.0.1:{self.server.server_port}/"
    month_data: {self.data}
uplinks:
  city: {{url: "{self.city.url}", ca: {self.city.ca}, receipt_keys: [{self.city.pub_path}]}}
""", every="60s")

    def gpsd_start(self, *ports):
        self.gpsd = subprocess.Popen(["/usr/sbin/gpsd", "-N", "-n", "-S", str(self.gps_port), "-F",
                                      os.path.join(self.folder, "gpsd.sock"), *ports],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.stack.callback(self.gpsd_stop)

    def gpsd_stop(self):
        gpsd, self.gpsd = self.gpsd, None
        if gpsd:
            gpsd.kill()
            gpsd.wait()

    def polls(self):
        """{time: {point: value}} of what the gateway holds."""
        out = collections.defaultdict(dict)
        rows = run([self.gw.exe, "export", "--config", self.gw.conf, "--format", "csv", "--series", "survey/*"]).stdout
        for series, t, value in (r.split(",")[:3] for r in rows.splitlines()[1:]):
            out[int(t)][series.split("/")[1]] = value
        return out

    def at_the_city(self):
        out = collections.defaultdict(dict)
        for row in self.city.rows():
            if row[1].startswith("survey/"):
                out[int(row[2])][row[1].split("/")[1]] = row[3]
        return out

    def state(self, want, seconds=60):
        """Until there is one; the newest such poll."""
        since = self.warp.now_ms()

        def there():
            polls = self.polls()
            return [(t, polls[t]) for t in sorted(polls) if t > since and polls[t].get("state") == str(want)][-1:]
        try:
            return until(there, seconds, f"state {want}", 0.2)[0]
        except AssertionError as e:
            raise AssertionError(f"{e}\n{sorted(self.polls().items())[-4:]}\n{self.gw.proc.text()[-2000:]}") from None

    def test_a_walk_reaches_the_city_with_every_cause(self):
        self.gw.start()
        lost = self.state(1)[1]
        self.assertEqual(set(lost), {"state", "data"}, "without a position nothing else is said")
        self.gpsd_start()
        self.state(2)
        self.gpsd_stop()
        self.gpsd_start(self.receiver.port)
        self.state(3)
        self.assertEqual(self.server.sent, 0, "without a fix no data is used")
        self.receiver.fix = 3
        t, poll = self.state(0)
        want = {"state": "0", "fix": "3", "latitude": "14.8301", "longitude": "108.9552", "altitude": "12.3",
                "operator": "45204", "technology": "13", "rsrp": "-99", "rsrq": "-14", "sinr": "7",
                "nr_rsrp": "-96", "nr_rsrq": "-10", "nr_sinr": "18"}
        self.assertEqual({k: poll.get(k) for k in want}, want)
        self.assertTrue(16384 <= int(poll["data"]) <= 1_000_000, poll["data"])
        self.assertTrue(self.server.sent > 0)
        # nobody walks: no data is used; then somebody does
        still = self.state(8)[1]
        self.assertEqual((still["data"], still.get("technology")), ("0", None))
        used = self.server.sent
        self.state(8)
        self.assertEqual(self.server.sent, used)
        self.receiver.lat += 0.0005
        self.receiver.fix = 2
        poll = self.state(0)[1]
        self.assertEqual((poll["latitude"], poll["fix"], poll.get("altitude")), ("14.8306", "2", None))
        times = sorted(self.polls())
        self.assertLessEqual(len(times) - 1, (times[-1] - times[0]) / 30000 + 0.5, "30 s apart")
        # the modem has no network; the receiver falls silent
        self.modem.answers.update({"AT+CEREG?": "+CEREG: 2,3\r\n\r\nOK"})
        self.receiver.lat += 0.0005
        self.assertIsNone(self.state(5)[1].get("operator"))
        self.receiver.on = False
        self.assertIsNone(self.state(4)[1].get("latitude"))
        self.assertFalse(self.modem.asked & {"AT+CIMI", "AT+CGSN", "AT+CNUM", "AT+GSN"})
        # all of it is sealed and comes out of the city again
        seen = self.polls()
        until(lambda: seen.items() <= self.at_the_city().items(), 60, "all polls at the city", 0.2)
        # the report has both samples, as the gateway's own
        got = self.report()
        self.assertEqual([(p["operator"], p["samples"], p["own"]) for p in got["survey"]["parts"]], [("45204", 2, 2)])
        samples = [f["properties"] for f in got["features"] if f["properties"]["kind"] == "sample"]
        self.assertEqual([(s["technology"], s["rsrp"], s["from"], s["state"], s["transfer"]) for s in samples],
                         [("en-dc", -96, "gateway", "covered", True)] * 2)

    def test_a_sample_needs_a_transfer_and_the_month_is_bounded(self):
        self.interface, self.data, self.receiver.fix = "none0", "1MB", 3
        self.config()
        self.gpsd_start(self.receiver.port)
        self.gw.start()
        poll = self.state(6)[1]
        self.assertEqual((poll["latitude"], poll.get("technology"), poll.get("rsrp")), ("14.8301", None, None))
        spent = self.state(7)[1]  # what was used, and a sample more, would be beyond the bound
        self.assertEqual((spent["data"], spent["latitude"]), ("0", "14.8301"))
        self.assertEqual(self.gw.stop(), 0)
        used = self.server.sent
        self.assertTrue(0 < used <= 1_000_000)
        self.gw.start()  # a restart frees nothing
        self.state(7)
        self.assertEqual(self.server.sent, used)
        self.assertIn("used up", self.gw.get("/api/v1/devices/survey")["device"]["text"])


class Phone:
    """A browser on a phone that somebody carries, signed in; its clock is years off, and it goes as fast as the
    gateway's does."""
    OFF_MS = 700_000_000_000

    def __init__(self, walk, name):
        self.page, self.walk, self.lat, self.lon = walk.gw.page(), walk, 14.8301, 108.9552
        walk.stack.callback(self.page.close)
        self.on, self.end, self.said = threading.Event(), threading.Event(), []
        status, headers, body = self.page.request("POST", "/api/v1/session", json.dumps(
            {"name": name, "password": Walk.PASSWORD}), {"Content-Type": "application/json"})
        assert status == 200, body
        self.head = {"Cookie": headers["set-cookie"].split(";")[0], "X-CSRF-Token": json.loads(body)["csrf"],
                     "Content-Type": "application/json"}

    def tell(self, **more):
        """(status, code)"""
        fix = {"lat": self.lat, "lon": self.lon, "accuracy_m": 8, "age_ms": 40,
               "stamp_ms": self.walk.warp.now_ms() + self.OFF_MS, **more}
        status = 429  # two at once: once more
        while status == 429:
            status, _, body = self.page.request("POST", "/api/v1/position", json.dumps(fix), self.head)
            self.end.wait(0.01)
        return status, json.loads(body).get("code")

    def run(self):
        while not self.end.wait(0.2):
            if self.on.is_set():
                self.said.append(self.tell())

    def carry(self):
        self.on.set()
        thread = threading.Thread(target=self.run, daemon=True)
        thread.start()
        self.walk.stack.callback(thread.join)
        self.walk.stack.callback(self.end.set)


class PhoneWalk(Walk):
    speed = 4  # a fix is good for 2.5 s of this machine's time
    where = "browser: true"
    test_a_walk_reaches_the_city_with_every_cause = test_a_sample_needs_a_transfer_and_the_month_is_bounded = None

    def user(self, name, role):
        p = subprocess.run([self.gw.exe, "user", "add", "--config", self.gw.conf, "--name", name, "--role", role],
                           input=self.PASSWORD + "\n", text=True, capture_output=True, check=False)
        self.assertEqual(p.returncode, 0, p.stderr)

    def test_a_walk_with_only_a_phone_reaches_the_city(self):
        self.gw.start()
        for name, role in (("tam", "technician"), ("lan", "technician"), ("vy", "viewer")):
            self.user(name, role)
        self.assertEqual(set(self.state(3)[1]), {"state", "data"})
        self.assertIn("no phone tells", self.gw.get("/api/v1/devices/survey")["device"]["text"])
        viewer, tam, lan = (Phone(self, name) for name in ("vy", "tam", "lan"))
        self.assertEqual(viewer.tell(), (403, "wrong_role"))
        self.assertEqual(tam.tell(accuracy_m=1500), (409, "inaccurate_position"))
        self.assertEqual(tam.tell(age_ms=10001), (409, "stale_position"))
        self.assertEqual(tam.tell(lat=91), (400, "bad_request"))
        self.assertEqual(self.server.sent, 0, "without a fix no data is used")
        tam.carry()
        poll = self.state(0)[1]
        want = {"state": "0", "fix": "2", "latitude": "14.8301", "longitude": "108.9552", "error": "8", "source": "1",
                "operator": "45204", "technology": "13", "nr_rsrp": "-96"}
        self.assertEqual({k: poll.get(k) for k in want}, want)
        self.assertNotIn("altitude", poll)
        # with such an age she does not get the turn, also where a busy machine lets his end for a moment
        until(lambda: lan.tell(age_ms=10001) == (409, "other_phone"), 30, "that another phone has the turn", 0.2)
        tam.lat += 0.0005
        self.assertEqual(self.state(0)[1]["latitude"], "14.8306")
        good = sum(s == 200 for s, _ in tam.said)  # what a busy machine held back is refused
        self.assertTrue(2 * good > len(tam.said) and {c for _, c in tam.said} <= {None, "stale_position"}, tam.said)
        # the phone sleeps: its last position is no position
        tam.on.clear()
        self.assertEqual(set(self.state(4)[1]), {"state", "data"})
        self.assertIn("keep its screen on", self.gw.get("/api/v1/devices/survey")["device"]["text"])
        # all of it is sealed and comes out of the city again; the page's result is the command line's
        seen = self.polls()
        until(lambda: seen.items() <= self.at_the_city().items(), 60, "all polls at the city", 0.2)
        since, to = min(seen) // 86400000 * 86400000, (max(seen) // 86400000 + 2) * 86400000
        status, headers, body = viewer.page.request("GET", f"/api/v1/survey.geojson?from={since}&to={to}", None, viewer.head)
        self.assertEqual((status, headers["content-type"]), (200, "application/geo+json"))
        text = self.survey("report", "--format", "geojson", "--from", str(since), "--to", str(to)).stdout
        self.assertEqual(body.decode(), text)
        schema = api.SPEC["paths"]["/api/v1/survey.geojson"]["get"]["responses"]["200"]["content"]["application/geo+json"]["schema"]
        self.assertEqual(api.faults(schema, json.loads(body)), [])
        samples = [f["properties"] for f in json.loads(text)["features"] if f["properties"]["kind"] == "sample"]
        self.assertEqual([(s["position"], s["error_m"], s["from"]) for s in samples], [("browser", 8, "gateway")] * 2)
        events = [e for e in self.gw.get("/api/v1/events?limit=200")["events"] if e["code"] == "survey.position"]
        self.assertEqual({e["text"] for e in events}, {"tam lets a phone tell where the walk is"})


if __name__ == "__main__":
    main()
