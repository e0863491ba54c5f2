"""The way of an alarm between the real programs: a register of fieldpost-sim changes, and the state that the
gateway makes of it can be selected at fieldpost-city; also while hundreds of batches wait for a city that hung."""
import os
import signal
import sqlite3
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_proc import City, Gateway, Https, main, until, write  # noqa: E402
from fp_site import SiteCase, Sim  # noqa: E402

GAUGE = """model: a gauge
points:
  - {name: level, quantity: water_level, function: 3, address: 0, type: s16, scale: 0.001}
  - {name: rain, quantity: rain, function: 3, address: 1, type: u16, scale: 0.1}
"""
OTHERS = 12
WAIT = 200  # batches, "some hundreds"
RAISED = 1


class WeatherCity(SiteCase):
    def play(self, every, more="", others=0):
        """River and city are real and run, the gateway watches the river, and others."""
        def words(level_mm):
            return f"0: {level_mm:04X} 0064\n"
        write(os.path.join(self.folder, "low.txt"), words(1000))
        write(os.path.join(self.folder, "flood.txt"), words(2600))
        names = ["river"] + [f"o{n}" for n in range(others)]
        site = write(os.path.join(self.folder, "site.yaml"), "buses:\n" + "".join(
            f"  {n}: {{type: modbus-tcp}}\n" for n in names) + "devices:\n" + "".join(
            f"  {n}: {{bus: {n}, unit: 1, words: low.txt}}\n" for n in names))
        self.sim = Sim(self.args.bin, site, os.path.join(self.folder, "served.csv"))
        self.stack.callback(self.sim.stop)
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.stack.callback(self.gw.kill)
        self.city = City(self.args.bin, os.path.join(self.folder, "city"))
        self.city.enroll(self.gw.gw, self.gw.pub_path)
        self.city.start()
        self.stack.callback(self.city.stop)
        write(os.path.join(self.gw.folder, "gauge.yaml"), GAUGE)
        # each at ticks of its own: what is read at one time is in one batch
        self.gw.config("buses:\n" + "".join(f"  {n}: {{{self.tcp(n)}}}\n" for n in names) + "devices:\n" + "".join(
            f"  {n}: {{bus: {n}, unit: 1, profile: ./gauge.yaml, every: {200 + 10 * i}ms}}\n"
            for i, n in enumerate(names)) + f"""uplinks:
  city: {{type: city, url: "{self.city.url}", ca: {self.city.ca}, receipt_keys: [{self.city.pub_path}], required: true}}
alarms:
  flood: {{series: river/level, when: {{above: 2.5}}, clear: 2.2, text: {{vi: "Nước sông vượt mức"}}}}
""", every=every, more=more)
        self.page = Https(self.city.port, self.city.ca)
        self.stack.callback(self.page.close)
        self.gw.start()
        until(lambda: self.alarm() == "quiet", 30, "it to be watched")

    def alarm(self):
        return self.gw.get("/api/v1/alarms")["alarms"][0]["state"]

    def waits(self):
        return self.gw.get("/api/v1/status")["store"]["batches_unsent"]

    def told(self):
        """The states that can be selected at the city."""
        status, _, body = self.page.request(
            "GET", f"/v1/gateways/{self.gw.gw}/readings?series=alarm/flood&from={self.since}")
        self.assertEqual(status, 200, body)
        return [int(float(r.split(",")[2])) for r in body.decode().splitlines()[1:]]

    def raises(self):
        self.since = time.time_ns() // 10 ** 6 - 1000
        self.sim.say("words river flood.txt")
        return time.monotonic()

    def at_city(self):
        until(lambda: RAISED in self.told(), 60, "the alarm to be selected at the city")
        return time.monotonic()

    def held(self):
        """The city's batches as (chain, seq), in the order in which it took them; and which has the alarm."""
        db = sqlite3.connect(f"file:{self.city.db}?mode=ro", uri=True)
        try:
            held = db.execute("SELECT lower(hex(c.chain)), b.seq FROM batch b JOIN chain c ON c.id = b.chain "
                              "ORDER BY b.id").fetchall()
        finally:
            db.close()
        return held, next((chain, int(seq)) for _, series, _, value, _, chain, seq in self.city.rows()
                          if series == "alarm/flood" and float(value) == RAISED)

    def test_a_raised_alarm_can_be_selected_long_before_its_window_ends(self):
        self.play("10min")
        begun = self.raises()
        print(f"alarm.register_to_city_s {self.at_city() - begun:.2f} s")
        held, (chain, seq) = self.held()
        self.assertIn((chain, seq), held)
        self.assertIn(("alarm/flood.value", 2.6), [(r[1], float(r[3])) for r in self.city.rows()
                                                  if r[5:7] == [chain, str(seq)]])
        self.assertEqual(self.gw.stop(), 0)

    def test_it_is_there_while_the_backlog_of_a_city_that_hung_still_is_not(self):
        self.play("1s", more=", max_readings: 2", others=OTHERS)
        self.city.proc.p.send_signal(signal.SIGSTOP)
        try:
            until(lambda: self.waits() >= WAIT, 60, f"{WAIT} batches to wait", 0.1)
            begun = self.raises()
            until(lambda: self.alarm() == "raised", 30, "it to be raised")
            sealed = self.waits()
            until(lambda: self.waits() > sealed + 8, 30, "more to be sealed behind it")  # so it is not the newest
            before, went_on = self.waits(), time.monotonic()
        finally:
            self.city.proc.p.send_signal(signal.SIGCONT)
        there = self.at_city()
        held, alarm = self.held()
        # all that the city held at the moment when it took the alarm's batch
        first = held[:held.index(alarm)]
        waited = set(range(alarm[1] - WAIT + 20, alarm[1])) - {seq for chain, seq in first if chain == alarm[0]}
        print(f"alarm.register_to_city_with_backlog_s {there - begun:.2f} s, {there - went_on:.2f} s since the city "
              f"went on; {before} batches waited, of the {WAIT - 20} sealed before it the city lacked {len(waited)}, "
              f"and {self.waits()} still wait")
        self.assertGreater(len(waited), WAIT // 2)
        self.assertEqual(self.gw.stop(), 0)


if __name__ == "__main__":
    main()
