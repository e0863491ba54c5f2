"""A test with the real gateway on our slave's two counters and a city of our own."""
import os

import fp_contract as fp
from fp_city import FakeCity
from fp_proc import Case, City, Gateway, until, write
from fp_rules import chain_faults
from fp_slave import COUNTER_PROFILE, Counter, Slave
from fp_warp import Warp

EVERY_MS, PERIOD_MS = 2000, 200


class GatewayCase(Case):
    """A slave with two counters (units 1 and 2), a gateway, and a city of our own."""
    SPEED = 1  # how much faster than the world the gateway lives, where it waits for a minute

    def setUp(self):
        super().setUp()
        self.gw, clock = Gateway(self.args.bin, os.path.join(self.folder, "gw")), {}
        if self.SPEED > 1:
            warp = Warp(self.args.bin, os.path.join(self.folder, "warp"), self.SPEED)
            self.gw.env, clock = warp.env, {"now_ms": warp.now_ms}
        self.units = {1: Counter(11, **clock), 2: Counter(-22, **clock)}
        self.slave = Slave(self.units)
        self.stack.callback(self.slave.stop)
        self.stack.callback(self.gw.kill)
        write(os.path.join(self.gw.folder, "counter.yaml"), COUNTER_PROFILE)
        self.city = FakeCity(os.path.join(self.folder, "city"))
        self.city.device = self.gw.pub
        self.city.start()
        self.stack.callback(self.city.stop)

    def site(self, devices=(1, 2), city=None, every="2s", timeout="100ms", **more):
        """With a longer timeout no answer comes too late, however busy the machine is."""
        city = city or self.city
        lines = [f"  dev-{n}: {{bus: plant, unit: {n}, profile: ./counter.yaml, every: 200ms}}"
                 for n in devices]
        self.gw.config(f"""buses:
  plant: {{type: modbus-tcp, host: 127.0.0.1, port: {self.slave.port}, timeout: {timeout}}}
devices:
{chr(10).join(lines)}
uplinks:
  city: {{type: city, url: "{self.city.url}", ca: {self.city.ca},
    receipt_keys: [{city.pub_path}], required: true}}""", every=every, **more)

    def wait_for(self, n, seconds=60):
        """Until the city holds n data batches."""
        until(lambda: len(self.data()) >= n, seconds, f"{n} data batches at the city; "
              f"{len(self.city.requests)} requests, refused {self.city.refused[:3]}")

    def data(self):
        return [b for b in self.city.held() if not b.control]

    def chains(self):
        out = {}
        for b in self.city.held():
            out.setdefault(b.chain, []).append(b)
        return list(out.values())

    def exported(self):
        """The gateway's own rows that are sealed, as (series, ts, value, quality, chain, seq)."""
        return [tuple(r) for r in self.gw.export() if r[4]]

    def drain(self, seconds=60):
        """Until the city holds every sealed batch, then stops; what city and export hold must be
        the same readings, and each must be what the slave served."""
        def all_there():
            sealed = {r[4:6] for r in self.exported()}  # first: while it is read more is sealed
            return sealed <= {(b.chain.hex(), str(b.seq)) for b in self.city.held()}
        until(all_there, seconds, "the city to hold all that is sealed", 0.3)
        self.assertEqual(self.gw.stop(), 0)
        self.compare()

    def compare(self):
        held = {(b.chain.hex(), b.seq) for b in self.city.held()}
        at_city = [(r.series, str(r.t_ms), fp.text(r.v), str(r.q), b.chain.hex(), str(b.seq))
                   for b in self.city.held() for r in b.readings]
        here = [r for r in self.exported() if (r[4], int(r[5])) in held]
        self.assertEqual(sorted(at_city), sorted(here))
        self.assertEqual(self.city.refused, [])
        self.truth(self.city.readings())

    def truth(self, readings):
        """Each poll at the city is one that the slave served, whole, and none is there twice."""
        polls = {}
        for r in readings:
            polls.setdefault((r.device, r.t_ms), {})[r.point] = r
        seen = set()
        for (device, t_ms), points in polls.items():
            unit = self.units[int(device[-1])]
            self.assertEqual(set(points), {"n", "d", "f"}, (device, t_ms))
            n = int(points["n"].x)
            self.assertNotIn((device, n), seen, "a poll is there twice")
            seen.add((device, n))
            self.assertIn(n, unit.served())
            self.assertEqual(int(points["d"].x), unit.derived(n))
            self.assertEqual(float(points["f"].x), unit.real(n))
            self.assertLess(abs(unit.served()[n] - t_ms), 1000 * self.SPEED)
        return seen

    def rules(self):
        faults = []
        for chain in self.chains():
            faults += chain_faults(sorted(chain, key=lambda b: b.seq), EVERY_MS)
        self.assertEqual(faults, [], "\n" + "\n".join(faults[:20]))
        self.assertEqual(self.city.refused, [])


class RealCityCase(GatewayCase):
    """The same with the real city beside it, which knows the gateway and runs."""

    def setUp(self):
        super().setUp()
        self.real = City(self.args.bin, os.path.join(self.folder, "real"))
        self.real.enroll(self.gw.gw, self.gw.pub_path)
        self.real.start()
        self.stack.callback(self.real.stop)
