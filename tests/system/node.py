"""Our sensor node on the real gateway: fieldpost-sim plays the registers of tests/golden/node.txt, and such as
are typed here. A scan finds it, `profile: node` is all that is written down, and what it measures reaches
the city, with its flags."""
import json
import os
import sys
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_proc import City, Gateway, main, run, until, write  # noqa: E402
from fp_site import SiteCase, Sim  # noqa: E402
from fp_slave import Slave  # noqa: E402

GOLDEN = os.path.join(HERE, "..", "golden", "node.txt")
LONG_AGO = 1_000_000_000


def golden(*parts):
    """The registers that these parts of the golden frames have shown, {address: word}."""
    frames, part, words = [], "", {}  # [part, request, answer], in hexadecimal
    with open(GOLDEN, encoding="utf-8") as f:
        for line in f:
            line = line.split("#")[0].rstrip()
            if line.startswith("["):
                part = line[1:-1]
            elif line.startswith(">"):
                frames.append([part, line[1:]])
            elif line.startswith("<"):
                frames[-1].append(line[1:].replace("none", ""))
            elif line:
                frames[-1][-1] += line
    for part, *frame in frames:
        request, answer = (bytes.fromhex("".join(x.split())) for x in frame)
        if part in parts and answer[1:2] == b"\x03":
            at = int.from_bytes(request[2:4], "big")
            for i in range(answer[2] // 2):
                words[at + i] = int.from_bytes(answer[3 + 2 * i:5 + 2 * i], "big")
    return words


def text(words, size):
    raw = words.encode("ascii").ljust(2 * size, b"\0")
    return [int.from_bytes(raw[i:i + 2], "big") for i in range(0, 2 * size, 2)]


def high_low(v):
    return [v >> 16 & 0xFFFF, v & 0xFFFF]


def newer():
    """A node of version 1.7: blocks and registers that nobody here knows; pm25 12.3, temperature 21.5 and
    another 3.0, of which the last is being calibrated, and a quantity 59999."""
    points = []
    for quantity, instance, exponent, sensor in ((21, 1, -1, 0), (60, 1, -1, 1), (60, 2, -1, 0), (59999, 1, 0, 0)):
        points += [quantity, instance, exponent & 0xFFFF, sensor] + high_low(-400) + high_low(1000) + [0, 0, 7, 7, 7]
    table = [13, 4, 9] + points
    sums = high_low(zlib.crc32(b"".join(w.to_bytes(2, "big") for w in table)))
    values = [6, 4] + sums + [9]
    for raw, state in ((123, 0), (215, 0), (30, 6), (1, 0)):
        values += high_low(raw) + [state, 3, 40, 0xBEEF]
    sensors = [15, 2] + [1, 0, 0, 10, 0, 0] + [0] * 9 + [2, 0, 0, 10, 0, 0] + [0] * 9
    words = [0x4650, 0x6E64, 0x0107]
    for number, block in ((900, [1, 2, 3]), (2, table),
                          (1, text("Fieldpost", 8) + text("board-2", 8) + text("1.7.0", 8) + text("FP000777", 8) +
                           sums + [5, 5]), (901, []), (3, values), (6, sensors)):
        words += [number, len(block)] + block
    return words + [0xFFFF]


class Registers:
    """A node whose LINE (at 117) may be written: what is kept aside, tried and kept."""

    def __init__(self, words):
        self.words, self.kept = dict(words), None

    def read(self, _, address, count):
        return [self.words[i] for i in range(address, address + count)] if address + count <= 181 else 2


class Line(Slave):
    def __init__(self, units):
        self.writes = []
        super().__init__(units)

    def _answer(self, unit, pdu):
        if pdu[0] != 6 or unit not in self.units:
            return super()._answer(unit, pdu)
        node, address, value = self.units[unit], int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
        self.writes.append((unit, address, value))
        if (address, value) == (121, 1):  # TRY: it is where LINE says, for a while
            del self.units[unit]
            self.units[node.words[117]] = node
        elif (address, value) == (121, 2):  # KEEP
            node.kept = unit
        else:
            node.words[address] = value
        return pdu


class Node(SiteCase):
    def lay(self, name, words):
        if isinstance(words, dict):
            words = [words.get(i, 0) for i in range(max(words) + 1)]
        return write(os.path.join(self.folder, name), "0: " + " ".join(f"{w:04X}" for w in words) + "\n")

    def check(self, *more):
        done = run([self.gw.exe, "check", "--config", self.gw.conf, *more])
        return done.stdout + done.stderr

    def learned(self, n):
        """The words of the n-th node that was met, newest last. The line starts over meanwhile."""
        def told():
            try:
                return len(self.events("device.learned")) >= n
            except (OSError, AssertionError):
                return False
        until(told, 30, f"{n} nodes are met")
        return sorted(self.events("device.learned"), key=lambda e: e["t_ms"])[-1]["text"]

    def reads(self, point, want):
        def right():
            try:
                return point in self.points("air") and self.value("air", point) == want
            except (OSError, AssertionError):
                return False
        until(right, 30, f"{point} is {want}")

    def test_a_node_is_found_met_and_read_to_the_city(self):
        usual = ("chain", "values", "diagnostics")
        self.lay("usual.txt", golden(*usual))
        self.lay("absent.txt", golden(*usual, "absent"))
        self.lay("newer.txt", newer())
        site = write(os.path.join(self.folder, "site.yaml"),
                     "buses:\n  net: {type: modbus-tcp}\ndevices:\n  air: {bus: net, unit: 17, words: usual.txt}\n")
        self.sim = Sim(self.args.bin, site, os.path.join(self.folder, "served.csv"))
        self.stack.callback(self.sim.stop)
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.stack.callback(self.gw.kill)
        city = City(self.args.bin, os.path.join(self.folder, "city"))
        city.enroll("gw-1", self.gw.pub_path)
        city.start()
        self.stack.callback(city.stop)
        bus = f"buses:\n  net: {{{self.tcp('net')}}}\n"
        self.gw.config(bus)
        scan = [self.gw.exe, "scan", "--config", self.gw.conf, "--bus", "net", "--units", "16-18"]
        said = run(scan).stdout
        line = "node-17: {bus: net, unit: 17, profile: node, every: 60s}"
        self.assertIn("Fieldpost example-1: serial number FP000123, firmware 1.0.0, it measures temperature, "
                      "humidity, water_total", said)
        self.assertIn(line, said)
        fits = json.loads(run(scan + ["--json"]).stdout)["found"][0]["fits"]
        self.assertEqual([(f["profile"], f["fits"]) for f in fits], [("node", True)])

        self.gw.config(bus + f"""devices:
  air: {{bus: net, unit: 17, profile: node, every: 200ms}}
alarms:
  hot: {{series: air/temperature, when: {{above: 60}}, clear: 50, text: {{vi: "Nóng", en: "Hot"}}}}
  dust: {{series: air/pm25, when: {{above: 500}}, clear: 400, text: {{vi: "Bụi", en: "Dust"}}}}
uplinks:
  city: {{type: city, url: "{city.url}", ca: {city.ca}, receipt_keys: [{city.pub_path}], required: true}}""")
        self.assertIn("not met yet", self.check("--plan"))
        self.start()
        self.assertEqual(self.learned(1), "it is Fieldpost example-1: temperature, humidity, water_total")
        rests = {(e["subject"], e["text"][:34]) for e in self.events("alarm.rests")}
        self.assertEqual(rests, {(a, f"nothing watches air/{p}: the node "[:34]) for a, p in
                                 (("hot", "temperature"), ("dust", "pm25"))})
        self.reads("temperature", -5.25)
        self.assertEqual([a["id"] for a in self.ask("/api/v1/alarms")["alarms"]], ["hot"])
        self.assertEqual(self.value("air", "water_total"), 47.11)
        self.assertEqual(self.value("air", "node_supply"), 3.312)
        told = self.check("--plan")
        self.assertIn("Fieldpost example-1", told)
        self.assertIn("water_total", told)
        self.assertEqual(self.device("air")["model"], "Fieldpost example-1")
        fits = json.loads(run(scan + ["--json"]).stdout)["found"][0]["fits"]  # between its polls
        self.assertEqual([(f["profile"], f["model"]) for f in fits], [("node", "Fieldpost example-1")])
        self.sim.say("words air absent.txt")
        self.reads("water_total", 47.12)
        until(lambda: self.device("air")["state"] == "faulty" and "temperature_sensor: absent" in
              self.device("air")["text"], 20, "what a sensor says is told")
        self.assertIsNone(self.value("air", "temperature"))

        os.utime(os.path.join(self.gw.db + ".nodes", "air.yaml"), (LONG_AGO, LONG_AGO))
        self.sim.say("words air newer.txt")
        self.assertEqual(self.learned(2), "it is Fieldpost board-2: pm25, temperature, temperature_2; left out: "
                         "quantity 59999, which is not known here (a newer fieldpost may know it)")
        self.reads("temperature_2", 3.0)
        self.assertEqual(self.value("air", "pm25"), 12.3)
        self.assertEqual({a["id"] for a in self.ask("/api/v1/alarms")["alarms"]}, {"hot", "dust"})
        until(lambda: any(r[1] == "air/temperature_2" for r in city.rows()), 60, "the city has it all")
        self.assertEqual(self.gw.stop(), 0)
        read = {}
        for _, series, _, value, quality, *_ in city.rows():
            read.setdefault(series.removeprefix("air/"), set()).add((value, quality))
        wanted = {"humidity": {("102.5", "1")}, "water_total": {("47.11", "0"), ("47.12", "8")},
                  "pm25": {("12.3", "0")}, "temperature_2": {("3", "8")}}
        # its serial number is another than that which the gateway knows: flag 4 until somebody says so
        for point, values in wanted.items():
            self.assertEqual({(v, str(int(q) & ~4)) for v, q in read[point]}, values, point)
        self.assertEqual({v for v, _ in read["temperature"]}, {"-5.25", "21.5"})
        self.assertEqual({q for v, q in read["temperature"] if v == "-5.25"}, {"0"})
        self.assertEqual(len(self.files()), 1)

    def test_setup_tries_a_new_number_and_keeps_it_where_it_finds_the_node(self):
        words = golden("chain", "values", "diagnostics")
        node, other = Registers(words), Registers(words)
        slave = Line({17: node, 30: other})
        self.stack.callback(slave.stop)
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.gw.config(f"buses:\n  net: {{type: modbus-tcp, host: 127.0.0.1, port: {slave.port}, timeout: 200ms}}")

        def setup(*more, ok=(0,)):
            done = run([self.gw.exe, "setup", "net", "node", "--config", self.gw.conf, "--unit", "17", *more], ok=ok)
            return done.stdout + done.stderr
        said = setup("--to-unit", "18")
        self.assertIn("goes back by itself after 60 s", said)
        self.assertIn("answers already", setup("--to-unit", "30", "--yes", ok=(1,)))
        self.assertIn("needs no start command", setup("--start", "--yes", ok=(1, 2)))
        self.assertEqual((slave.writes, slave.requests and slave.units), ([], {17: node, 30: other}))
        setup("--to-unit", "18", "--yes")
        self.assertEqual(slave.writes, [(17, 117, 18), (17, 121, 1), (18, 121, 2)])
        self.assertEqual((slave.units, node.kept), ({18: node, 30: other}, 18))
        node.words[0], slave.writes = 0, []
        slave.units = {17: node}
        self.assertIn("it is no sensor node", setup("--to-unit", "19", "--yes", ok=(1,)))
        self.assertEqual(slave.writes, [])

    def files(self):
        return os.listdir(self.gw.db + ".nodes")


if __name__ == "__main__":
    main()
