"""The city stores before it answers: kill -9 at any moment, restarts, and clients in parallel."""
import http.client
import os
import random
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
from fp_citycase import GW, T0, CityCase  # noqa: E402
from fp_proc import PUT_HEADERS, Https, main, put_path  # noqa: E402


class Survives(CityCase):
    def test_201_means_stored_through_kill_9(self):
        """Clients put without pause; the city is killed the moment one of them has read a 201.
        Every batch that was answered must be there after the restart, receipt and all."""
        rounds, acked = 12, {}
        for i in range(rounds):
            target, count, done = self.rng.randrange(1, 25), [0], threading.Event()
            lock = threading.Lock()

            def client(seed, target=target, count=count, done=done, lock=lock):
                rng = random.Random(seed)
                chain = rng.randbytes(8)
                t0 = T0 + rng.randrange(10 ** 11)
                _, batches = self.chain(12, chain=chain, t0=t0)
                https = Https(self.city.port, self.city.ca)
                try:
                    for seq, whole in batches:
                        https.c.request("PUT", put_path(GW, chain, seq), fp.compress(whole),
                                        PUT_HEADERS)
                        r = https.c.getresponse()
                        acked[chain, seq] = (whole, b"", r.status)
                        with lock:
                            count[0] += 1
                            if count[0] == target:
                                done.set()
                                self.city.proc.kill()
                        acked[chain, seq] = (whole, r.read(), r.status)
                except (OSError, http.client.HTTPException):
                    if not done.is_set():  # else the city died, as it should
                        raise
                finally:
                    https.close()
            threads = [threading.Thread(target=client, args=(f"{self.args.seed} {i} {k}",))
                       for k in range(4)]
            for t in threads:
                t.start()
            for t in threads:
                t.join(60)
            self.assertTrue(done.is_set(), "the city was not killed")
            self.https.close()
            self.connect()
        self.assertGreater(len(acked), rounds)
        for (chain, seq), (whole, receipt, status) in acked.items():
            self.assertEqual(status, 201)
            got = self.put(chain, seq, whole)
            self.assertEqual(got[0], 200, f"seq {seq} was answered 201 and is gone")
            if receipt:
                self.assertEqual(got[2], receipt)
        held = {(r[5], int(r[6])) for r in self.city.rows()}
        self.assertLessEqual({(c.hex(), s) for c, s in acked if s > 1}, held)
        self.sound()

    def test_parallel_clients_of_one_number_get_one_receipt(self):
        chain, batches = self.chain(1)
        seq, whole = batches[0]
        answers = []

        def client():
            https = Https(self.city.port, self.city.ca)
            answers.append(self.put(chain, seq, whole, https=https))
            https.close()
        threads = [threading.Thread(target=client) for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
        self.assertEqual(sorted(a[0] for a in answers), [200] * 7 + [201])
        self.assertEqual(len({a[2] for a in answers}), 1)

    def test_receipts_and_chains_live_through_a_restart(self):
        chain, batches = self.chain(3)
        first = [self.stored(chain, *b) for b in batches]
        before, head = self.city.dump(), self.head()
        self.assertEqual(self.city.stop(), 0)
        self.assertEqual(self.city.dump(), before)
        self.https.close()
        self.connect()
        self.assertEqual(self.head(), head)
        for b, receipt in zip(batches, first):
            self.assertEqual(self.put(chain, *b)[::2], (200, receipt))


if __name__ == "__main__":
    main(needs=("fieldpost-city",))
