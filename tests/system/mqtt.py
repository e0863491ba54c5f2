"""Readings that come through a real broker: ChirpStack, SenML and plain JSON, each once, with their own
time, and none acknowledged before it is durable."""
import base64
import contextlib
import json
import os
import random
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_cbor as cbor  # noqa: E402
from fp_broker import Broker  # noqa: E402
from fp_city import FakeCity  # noqa: E402
from fp_proc import Case, Gateway, main, run, until, write  # noqa: E402
from fp_rules import chain_faults  # noqa: E402
from fp_warp import Warp  # noqa: E402

EUI = "a81758fffe0512f3"
UP = f"application/7/device/{EUI}/event/up"
BIN = """model: bin
points:
  - {name: fill, quantity: fill, from: /object/fill, port: 85, at: 0, type: u8}
  - {name: temperature, quantity: temperature, from: /object/temperature, port: 85, at: 1, type: s16,
     little: true, scale: 0.1}
  - {name: snr, quantity: number, from: /rxInfo/0/snr}
"""
AIR = """points:
  - {name: temperature, quantity: temperature}
  - {name: humidity, quantity: humidity, from: rh}
"""
SCALE = """time: /ts
points:
  - {name: net, quantity: weight, from: /load/0/kg}
  - {name: stable, quantity: state, from: /stable}
"""


def text_of(ms):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000)) + f".{ms % 1000:03d}"


def uplink(count, ms, fill=None, temperature=None, data=None, **more):
    """An event as ChirpStack v4 sends it; its gateway leaves a zero out."""
    event = {"deduplicationId": f"3ac7e3c4-4401-4b8d-9386-{count:012d}",
             "time": text_of(ms) + "456+00:00",
             "deviceInfo": {"tenantId": "t", "applicationId": "7", "deviceName": "bin-017",
                            "devEui": EUI, "tags": {}},
             "devAddr": "00189440", "adr": True, "dr": 2, "fCnt": count, "fPort": 85,
             "confirmed": False, "data": data or base64.b64encode(b"x%d" % count).decode(),
             "rxInfo": [{"gatewayId": "0016c001f153a14c", "uplinkId": 4217106255, "rssi": -112}],
             "txInfo": {"frequency": 923200000}}
    if fill is not None:
        event["object"] = {"fill": fill, "temperature": temperature}
    event.update(more)
    return json.dumps(event)


class Mqtt(Case):
    def setUp(self):
        super().setUp()
        self.broker = Broker(os.path.join(self.folder, "broker")).start()
        self.stack.callback(lambda: self.broker.stop())
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.stack.callback(self.gw.kill)
        for name, text in (("bin", BIN), ("air", AIR), ("scale", SCALE)):
            write(os.path.join(self.gw.folder, f"{name}.yaml"), text)
        self.site()

    def site(self, air="", more="", **seal):
        self.gw.config(f"""buses:
  lora: {{type: mqtt, host: 127.0.0.1, port: {self.broker.port}, client: gw-1}}
{more}devices:
  bin-17: {{bus: lora, format: chirpstack, dev_eui: {EUI.upper()}, profile: ./bin.yaml}}
  air-9: {{bus: lora, format: senml, topic: site/air, base: "urn:dev:mac:9:", profile: ./air.yaml{air}}}
  scale: {{bus: lora, format: json, topic: "scale/+", profile: ./scale.yaml}}
""", **{"journal": "1h", **seal})

    def rows(self, series=None):
        """(series, ms, value, quality), sorted."""
        return sorted((r[0], int(r[1]), r[2], int(r[3])) for r in self.gw.export()
                      if series is None or r[0].startswith(series))

    def wait_rows(self, n, seconds=30):
        until(lambda: len(self.rows()) >= n, seconds, f"{n} readings")
        return self.rows()

    def session(self):
        """The broker has a session with the subscriptions: from here on it keeps what is sent."""
        self.gw.start()
        t = int(time.time() * 1000) - 3600_000

        def there():
            self.broker.publish(UP, uplink(1, t, 1, 1))
            return self.rows()
        until(there, 30, "the first reading", 0.2)
        return t

    def test_chirpstack_uplinks_each_once_with_their_time(self):
        t = self.session()
        self.broker.publish(UP, uplink(2, t + 1000, 55, 31.5))
        self.broker.publish(UP, uplink(2, t + 1000, 55, 31.5))  # the same once more
        # the same radio, heard by a second network server: other id and time
        self.broker.publish(UP, uplink(2, t + 1003, 55, 31.5, deduplicationId="other"))
        self.broker.publish(UP, uplink(3, t + 2000, data="OAEBAA=="))  # no codec: 56, 25.7
        self.broker.publish(UP, "{not json")
        self.broker.publish(UP, uplink(4, t + 3000, 130, None))  # null: no value; 130 %: flagged
        self.broker.publish(UP, uplink(5, t + 4000, 9, 9))
        expected = sorted(
            [("bin-17/fill", t, "1", 0), ("bin-17/fill", t + 1000, "55", 0),
             ("bin-17/fill", t + 2000, "56", 0), ("bin-17/fill", t + 3000, "130", 1),
             ("bin-17/fill", t + 4000, "9", 0), ("bin-17/temperature", t, "1", 0),
             ("bin-17/temperature", t + 1000, "31.5", 0),
             ("bin-17/temperature", t + 2000, "25.7", 0),
             ("bin-17/temperature", t + 4000, "9", 0)] +
            [("bin-17/snr", t + 1000 * i, "0", 0) for i in range(5)])
        until(lambda: len(self.rows()) >= len(expected), 30, "all readings")
        self.assertEqual(self.rows(), expected)
        # a clock that is ahead, and one that was never set: the arrival is the time
        begun = int(time.time() * 1000)
        self.broker.publish(UP, uplink(6, begun + 86400_000, 11, 1))
        self.broker.publish(UP, uplink(7, 1000, 12, 1))
        until(lambda: len(self.rows()) >= len(expected) + 6, 30, "both")
        for row in set(self.rows()) - set(expected):
            self.assertTrue(begun <= row[1] <= time.time() * 1000, row)

    def test_senml_in_json_and_cbor_and_plain_json(self):
        t = self.session()
        s = t // 1000
        self.broker.publish("site/air", json.dumps(
            [{"bn": "urn:dev:mac:9:", "bt": s, "bu": "Cel", "n": "temperature", "v": 21.5},
             {"n": "rh", "u": "%RH", "v": 66.25, "t": 1}, {"n": "rh", "u": "Cel", "v": 1, "t": 2},
             {"bn": "urn:dev:mac:8:", "n": "rh", "u": "%RH", "v": 1, "t": 3}]))
        self.broker.publish("site/air", cbor.encode(
            [{-2: "urn:dev:mac:9:", -3: s + 10, 0: "temperature", 1: "Cel", 2: 22.25}]))
        self.broker.publish("scale/1", json.dumps(
            {"ts": t + 500, "load": [{"kg": "12.50"}], "stable": True}))
        expected = sorted([("air-9/temperature", s * 1000, "21.5", 0),
                           ("air-9/humidity", s * 1000 + 1000, "66.25", 0),
                           ("air-9/temperature", s * 1000 + 10000, "22.25", 0),
                           ("scale/net", t + 500, "12.5", 0), ("scale/stable", t + 500, "1", 0)])
        until(lambda: len(self.rows()) >= 8, 30, "all readings")
        self.assertEqual([r for r in self.rows() if not r[0].startswith("bin")], expected)

    def test_a_reading_is_durable_before_the_broker_is_told(self):
        """The journal is committed once an hour here, and the gateway is killed at any moment: what
        the broker does not send again is there, and what it sends again is there once."""
        rng = random.Random(self.args.seed)
        t = self.session()
        sent, done = [1], threading.Event()

        def publish():
            while not done.is_set():
                self.broker.publish(UP, uplink(len(sent) + 1, t + 1000 * len(sent), 5, 5))
                sent.append(len(sent) + 1)
        sender = threading.Thread(target=publish)
        sender.start()
        try:
            for _ in range(8):
                begun = len(sent)
                until(lambda b=begun: len(sent) > b + rng.randrange(1, 12), 30, "messages")
                self.gw.kill()
                self.gw.start()
        finally:
            done.set()
            sender.join()
        until(lambda: len(self.rows("bin-17/fill")) >= len(sent), 30, "all messages")
        self.assertEqual([r[1] for r in self.rows("bin-17/fill")],
                         [t + 1000 * i for i in range(len(sent))])

    def test_the_broker_goes_and_comes_and_nothing_is_missing(self):
        t = self.session()
        self.broker.stop()
        self.broker.start()
        for i in range(1, 6):
            self.broker.publish(UP, uplink(i + 1, t + 1000 * i, i, i))
        until(lambda: len(self.rows("bin-17/fill")) >= 6, 60, "all messages")
        self.assertEqual([r[2] for r in self.rows("bin-17/fill")], ["1", "1", "2", "3", "4", "5"])

    def test_posted_readings_are_durable_when_they_are_answered(self):
        with open(self.gw.conf, encoding="utf-8") as f:
            conf = f.read()
        write(self.gw.conf, conf.replace(
            "devices:", "  here: {type: http}\ndevices:\n  box: {bus: here, format: senml, "
            "base: 'box:', profile: ./air.yaml}", 1))
        tokens = {scope: run([self.gw.exe, "token", "add", "--config", self.gw.conf, "--name", scope,
                              "--scope", scope]).stdout.strip().split()[-1]
                  for scope in ("push", "correct")}
        self.gw.start()
        t = int(time.time()) - 600

        def post(pack, token="push", kind="application/senml+json"):
            body = pack if isinstance(pack, bytes) else json.dumps(pack)
            head = {"Authorization": f"Bearer {tokens[token]}"} if token else {}
            with contextlib.closing(self.gw.page()) as c:
                status, _, answer = c.request("POST", "/api/v1/readings", body, {"Content-Type": kind, **head})
                return status, json.loads(answer)
        pack = [{"bn": "box:", "bt": t, "n": "temperature", "v": 20.5}, {"n": "rh", "v": 50, "t": 1}]
        until(lambda: post(pack)[0] == 200, 30, "the bus to start")
        self.gw.kill()  # the journal is committed once an hour here
        self.gw.start()
        expected = [("box/humidity", (t + 1) * 1000, "50", 0),
                    ("box/temperature", t * 1000, "20.5", 0)]
        self.assertEqual(self.rows("box"), expected)
        until(lambda: post(pack) == (200, {"readings": 0}), 30, "the same again: it counts once")
        self.assertEqual(post(cbor.encode([{0: "box:rh", 1: "%RH", 2: 51, 6: t + 2}]),
                              kind="application/senml+cbor"), (200, {"readings": 1}))
        for status, code, args in (
                (401, "no_token", (pack, None)), (403, "wrong_scope", (pack, "correct")),
                (415, "unsupported_type", (pack, "push", "text/plain")),
                (400, "bad_request", (b"[{",)), (400, "bad_request", ({},)),
                (404, "unknown_series", ([{"n": "other:rh", "v": 1}],)),
                (404, "unknown_series", ([],)),
                (413, "too_large", (b"[" + b" " * 300000 + b"]",))):
            answer = post(*args)
            self.assertEqual((answer[0], answer[1]["code"]), (status, code), answer)
        self.assertEqual(len(self.rows("box")), 3)

    def test_silence_is_a_gap_with_its_cause(self):
        """On a clock that runs 20 times as fast: a device that owes readings falls silent, then the
        broker is gone for minutes, then both come back."""
        warp = Warp(self.args.bin, os.path.join(self.folder, "warp"), 20)
        self.gw.env = warp.env
        city = FakeCity(os.path.join(self.folder, "city"))
        city.device = self.gw.pub
        city.start()
        self.stack.callback(city.stop)
        self.site(air=", every: 20s", every="1min", journal="10s", more=f"""uplinks:
  city: {{type: city, url: "{city.url}", ca: {city.ca}, receipt_keys: [{city.pub_path}],
    required: true}}
""")

        def air():
            self.broker.publish("site/air", json.dumps([
                {"bn": "urn:dev:mac:9:", "n": "temperature", "v": 21}, {"n": "rh", "v": 60}]))

        def held(cause, series):
            return [g for b in city.held() if not b.control for g in b.gaps
                    if g[3] == cause and g[0] == series]

        def sends(until_what):
            def both():
                air()
                return until_what()
            until(both, 60, "readings", 0.2)
        self.gw.start()
        sends(lambda: self.rows("air-9/temperature"))
        self.broker.publish(UP, uplink(1, warp.now_ms(), 1, 1))
        until(lambda: self.rows("bin-17"), 30, "an uplink")
        until(lambda: held("device", "air-9/*"), 60, "the gap of a silent device")
        sends(lambda: len(self.rows("air-9/temperature")) > 4)
        self.broker.stop()
        gone = warp.now_ms()
        until(lambda: held("bus", "bin-17/*") and held("bus", "air-9/*"), 60, "the broker's gaps")
        self.broker.start()
        n = len(self.rows("air-9/temperature"))
        sends(lambda: len(self.rows("air-9/temperature")) > n + 2)
        back = warp.now_ms()
        until(lambda: any(b.to_ms > back for b in city.held() if not b.control), 60, "a window behind")
        self.assertEqual(self.gw.stop(), 0)
        # before its first connection nobody knows what it had missed
        events = [g for g in held("bus", "bin-17/*") if g[2] > gone]
        self.assertGreaterEqual(min(g[1] for g in events), gone - 2000)
        self.assertLessEqual(max(g[2] for g in events), back)  # it ended, without any reading
        faults = []
        for chain in {b.chain for b in city.held()}:
            faults += chain_faults(sorted((b for b in city.held() if b.chain == chain),
                                          key=lambda b: b.seq), 60000)
        self.assertEqual(faults, [])


if __name__ == "__main__":
    main(needs=("fieldpost",))
