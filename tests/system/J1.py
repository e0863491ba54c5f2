"""J1: one batch gets 400 for ever. It is set aside, all others flow, and the technician sees it: on the
page's API, in `fieldpost status`, among the events. A 400 that is not the city's own word about this
batch never gives it up: it is tried again and arrives once the cause is mended."""
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
from fp_city import problem  # noqa: E402
from fp_gatewaycase import GatewayCase  # noqa: E402
from fp_proc import free_port, main, until  # noqa: E402


class Poison(GatewayCase):
    SPEED = 4  # a batch that met trouble is held for a minute

    def begin(self, answer):
        """Runs the site; every request for one data batch, chosen by the first, gets answer()."""
        self.poison, self.tries = None, 0
        self.port = free_port()
        self.site(listen=f"127.0.0.1:{self.port}")
        self.gw.start()
        self.wait_for(1)

        def hook(r):
            b = fp.Batch(r.whole)
            if self.poison is None and b.readings:
                self.poison = b
            if self.poison is None or b.hash != self.poison.hash:
                return None
            self.tries += 1
            return answer(r)
        self.city.hook = hook
        until(lambda: self.poison, 30, "a batch to poison")

    def api(self, path):
        return self.gw.get(f"/api/v1/{path}")

    def voids(self):
        bad = self.poison
        return [e for b in self.city.held() if b.chain == bad.chain for e in b.entries
                if e[0] == "void" and e[1] <= bad.seq <= e[2] and bad.hash in e[3]]

    def test_a_final_400_is_set_aside_and_shown(self):
        self.begin(lambda r: problem(400, "bad_cbor", r.hash))
        until(self.voids, 90, "a void entry that names the batch and its hash")
        self.wait_for(len(self.data()) + 5)
        bad = self.poison
        self.assertEqual(len(self.voids()), 1)
        self.assertNotIn(bad.seq, {b.seq for b in self.data() if b.chain == bad.chain})
        self.assertEqual(self.tries, 1, "a final refusal is not tried again")

        status = self.api("status")
        self.assertEqual(status["refused"]["batches"], 1)
        self.assertEqual((status["refused"]["chain"], status["refused"]["seq"]),
                         (bad.chain.hex(), bad.seq))
        self.assertEqual(status["refused"]["code"], "bad_cbor")
        events = [e for e in self.api("events?limit=200")["events"] if e["code"] == "batch.refused"]
        self.assertEqual([e["subject"] for e in events], [f"{bad.chain.hex()}/{bad.seq}"])
        said = subprocess.run([os.path.join(self.args.bin, "fieldpost"), "status", "--config",
                               self.gw.conf], capture_output=True, text=True, timeout=30, check=True)
        self.assertIn(f"refused.seq: {bad.seq}", said.stdout)
        # It stays in the store, whole, for whoever looks into it.
        held = {(r[4], int(r[5])) for r in self.exported()}
        self.assertIn((bad.chain.hex(), bad.seq), held)
        self.assertEqual(self.gw.stop(), 0)

    def resend(self, *args, code=0):
        r = subprocess.run([os.path.join(self.args.bin, "fieldpost"), "resend", "--config",
                            self.gw.conf, *args], capture_output=True, text=True, timeout=30,
                           check=False)
        self.assertEqual(r.returncode, code, r.stderr)
        return r.stdout + r.stderr

    def test_a_batch_that_was_refused_goes_out_again_when_the_city_is_mended(self):
        self.begin(lambda r: problem(400, "bad_signature", r.hash))
        until(self.voids, 90, "a void entry that names the batch and its hash")
        bad = self.poison
        name = f"{bad.chain.hex()}/{bad.seq}"
        self.assertIn(f"{name} {len(bad.readings)} readings, bad_signature at 20", self.resend())
        self.assertIn("no batch of this name", self.resend(f"{bad.chain.hex()}/999999", code=1))
        self.assertIn("is no CHAIN/SEQ", self.resend("1/2", code=2))
        self.city.hook = None
        self.assertIn("next window", self.resend(name))
        rows = sorted((r.series, r.t_ms, fp.text(r.v)) for r in bad.readings)

        def again():
            return [b for b in self.data() if sorted(
                (r.series, r.t_ms, fp.text(r.v)) for r in b.readings) == rows]
        until(again, 60, "its readings under a new number")
        self.assertEqual(len(again()), 1)
        self.assertGreater(again()[0].seq, bad.seq)
        self.assertEqual(self.resend(), "")
        self.drain(90)

    def test_a_400_of_somebody_else_keeps_the_batch_and_lets_the_others_pass(self):
        self.begin(lambda r: (400, {"Content-Type": "text/html"}, b"<html>no</html>"))
        self.wait_for(len(self.data()) + 5, 90)
        bad = self.poison
        self.assertNotIn(bad.hash, {b.hash for b in self.city.held()})
        self.assertEqual(self.voids(), [])
        self.assertIsNone(self.api("status")["refused"])
        self.city.hook = None  # mended: it arrives without help
        mended = time.monotonic()
        until(lambda: bad.hash in {b.hash for b in self.city.held()}, 180, "the batch to be sent again")
        self.assertLess((time.monotonic() - mended) * self.SPEED, 180, "by the gateway's clock")
        self.drain(90)
        self.rules()


if __name__ == "__main__":
    main()
