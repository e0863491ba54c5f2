"""A real gateway seals over midnight of Viet Nam and sends to the real city; what both have signed then
goes before independent readers (answers_test.mjs): data, control, digest, receipts, head, and the notices with
which the city changes its keys."""
import datetime
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
from fp_cbor import decode, encode  # noqa: E402
from fp_linecase import LineCase  # noqa: E402
from fp_proc import Https, main, run, until, write  # noqa: E402

DAY_MS, VIET_NAM_MS = 86_400_000, 7 * 3_600_000
NONCE = "0011223344556677"
TYPES = {"receipt": "application/vnd.fieldpost.receipt+cbor", "head": "application/vnd.fieldpost.head+cbor",
         "digest": "application/vnd.fieldpost.digest+cbor",
         "notice": "application/vnd.fieldpost.trust+cbor"}


class Verifiers(LineCase):
    SPEED = 600

    def put(self, name, data):
        path = os.path.join(self.out, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return write(path, data)

    def swap(self, name, whole, key, types):
        """The message under each other type, signed again by its own key."""
        c = fp.Cose(whole)
        for i, other in enumerate(types):
            self.put(f"swapped/{name}-{i}", fp.sign(encode({**decode(c.protected), 3: other}), c.payload, key))

    def test_what_was_signed_goes_before_other_readers(self):
        self.out = os.path.join(self.folder, "answers")
        os.makedirs(self.out)
        local = (self.warp.now_ms() + VIET_NAM_MS) % DAY_MS
        self.warp.step((DAY_MS - local) // 1000 - 50 * 60)  # ten to midnight, and 40 minutes
        self.site(period=lambda k: "60s", every="10min", journal="5min")
        day = fp_day(self.warp.now_ms())
        self.gw.start()
        until(lambda: self.city_sql("SELECT count(*) FROM digest")[0][0] == 1, 60, "the day's digest at the city")
        self.sleeps(1500)  # and some windows of the next day
        until(lambda: self.arrived() == self.sealed(), 60, "all at the city")
        self.assertEqual(self.gw.stop(), 0)
        shown = json.loads(run([self.gw.exe, "digest", "--config", self.gw.conf, "--format", "json"]).stdout)
        self.assertEqual(shown["day"], day)
        self.gather(shown)
        self.next_keys()
        run([self.gw.exe, "export", "--config", self.gw.conf, "--sealed", os.path.join(self.out, "usb")])
        for seq, whole in self.city_sql("SELECT b.seq, r.cose FROM batch b JOIN receipt r ON r.batch = b.id"):
            self.put(f"receipts/{seq}", whole)
        env = {**os.environ, "FP_ANSWERS": self.out}
        done = subprocess.run(["node", "--test", os.path.join(HERE, "answers_test.mjs")], env=env, text=True,
                              capture_output=True)
        print(done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def announce(self, *more):
        run([self.city.exe, "announce", "--config", self.city.conf, *more])

    def next_keys(self):
        """The next receipt key signs at once, a CA and one more key are named; a window comes."""
        self.announce("--next-key", "--after", "0s")
        first = self.notices()
        self.swap("notice", first, self.city.key, [t for n, t in TYPES.items() if n != "notice"] + [112])
        self.put("notice", first)
        before = self.arrived()
        self.gw.start()
        until(lambda: self.arrived() > before, 60, "a window under the next key")
        until(lambda: self.arrived() == self.sealed(), 60, "all at the city")
        self.assertEqual(self.gw.stop(), 0)
        self.announce("--next-ca", self.city.ca, "--both", "1d")
        self.announce("--next-key", "--after", "1d")
        self.put("notices", self.notices())

    def notices(self):
        https = Https(self.city.port, self.city.ca)
        try:
            status, headers, body = https.request("GET", "/v1/trust")
            self.assertEqual((status, headers["content-type"]), (200, "application/cbor-seq"))
            return body
        finally:
            https.close()

    def gather(self, shown):
        https, url = Https(self.city.port, self.city.ca), f"/v1/gateways/{self.gw.gw}"
        answers = {"receipt": self.city_sql("SELECT cose FROM receipt LIMIT 1")[0][0]}
        self.stack.callback(https.c.close)
        for name, path in (("head", f"{url}/head?nonce={NONCE}"), ("digest", f"{url}/digest?day={shown['day']}")):
            status, _, answers[name] = https.request("GET", path)
            self.assertEqual(status, 200)
            self.put(name, answers[name])
        for name, whole in answers.items():
            self.swap(name, whole, self.city.key, [t for n, t in TYPES.items() if n != name] + [112])
        data = fp.decompress(self.city_sql("SELECT cose FROM batch WHERE kind = 0 LIMIT 1")[0][0])
        self.swap("data", data, fp.load_private(self.gw.key_path), [*TYPES.values(), 60])
        self.put("device.pub", fp.public_pem(self.gw.pub))
        self.put("city.pub", fp.public_pem(self.city.pub))
        self.put("info.json", json.dumps({"gw": self.gw.gw, "nonce": NONCE, "day": shown["day"],
                                          "sealed_in": shown["sealed_in"]}))


def fp_day(utc_ms):
    return (datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=utc_ms + VIET_NAM_MS)).strftime("%Y-%m-%d")


if __name__ == "__main__":
    main()
