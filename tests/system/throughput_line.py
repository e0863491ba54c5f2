"""What is measured is what a link gives: two network namespaces and a link between them that the kernel holds
to a known rate both ways."""
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support", "python")]
from fp_proc import main, skipped  # noqa: E402
from throughput import RATED, Site  # noqa: E402

INSIDE = "FP_THROUGHPUT_INSIDE"
SPEED = os.path.join(HERE, "..", "support", "python", "fp_speed.py")
MBIT, PAYLOAD = 16, 1448 / 1514  # of the shaped link; of a frame as the kernel's shaper counts it


class Line(Site):
    """Two network namespaces and a link between them that the kernel holds to MBIT both ways."""

    def setUp(self):
        super().setUp()
        self.far = subprocess.Popen(
            ["unshare", "--net", "--", sys.executable, "-c",
             "import subprocess, sys; print(flush=True); sys.stdin.readline(); "
             f"sys.exit(subprocess.call([sys.executable, {SPEED!r}, '--listen', '10.9.0.2']))"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.stack.callback(self.far_end)
        self.far.stdout.readline()
        there = ["nsenter", "-t", str(self.far.pid), "-n"]
        shape = ["root", "tbf", "rate", f"{MBIT}mbit", "burst", "16kb", "latency", "60ms"]
        for words in (["ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns",
                       str(self.far.pid)], ["ip", "addr", "add", "10.9.0.1/24", "dev", "near"],
                      ["ip", "link", "set", "near", "up"], [*there, "ip", "addr", "add", "10.9.0.2/24", "dev", "far"],
                      [*there, "ip", "link", "set", "far", "up"], ["tc", "qdisc", "add", "dev", "near", *shape],
                      [*there, "tc", "qdisc", "add", "dev", "far", *shape]):
            subprocess.run(words, check=True)
        self.far.stdin.write("\n")
        self.far.stdin.flush()
        self.url = f"http://10.9.0.2:{int(self.far.stdout.readline())}"

    def far_end(self):
        self.far.stdin.close()
        self.far.wait(20)
        self.far.stdout.close()

    def test_both_ways_are_what_the_link_gives(self):
        self.site({"line": f"down: '{self.url}/endless', up: '{self.url}/sink', interface: near, ramp: 1s, "
                           "duration: 4s, connections: 4"})
        self.gw.start()
        answer = self.ask("line")
        gives = MBIT * PAYLOAD
        for way in ("download", "upload"):
            r = answer[way]
            print(f"{way}: {r.get('mbit')} of {gives:.2f} Mbit/s, code {r['code']}, load {r.get('load_percent')} %",
                  flush=True)
            self.assertIn(r["code"], RATED, r)
            self.assertAlmostEqual(r["mbit"], gives, delta=0.08 * gives)
        self.assertEqual(answer["interface"], "near")
        self.assertEqual(answer["link_mbit"], 10000)  # what veth says of itself
        self.assertEqual(self.gw.stop(), 0)
        rows = {r[0]: r[2] for r in self.gw.export("--raw")}
        self.assertEqual(float(rows["line/download"]), answer["download"]["mbit"])
        self.assertEqual(rows["line/link"], "10000")
        self.assertEqual(rows["line/upload_result"], str(answer["upload"]["code"]))


if __name__ == "__main__":
    if os.environ.get(INSIDE):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        subprocess.run(["mount", "-t", "sysfs", "sysfs", "/sys"], check=True)  # of this namespace
        main()
    elif not all(shutil.which(x) for x in ("unshare", "nsenter", "ip", "tc")) or subprocess.run(
            ["unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c", "mount -t sysfs sysfs /sys && ip link add near type veth peer name far && "
             "tc qdisc add dev near root tbf rate 1mbit burst 16kb latency 50ms"],
            capture_output=True, check=False).returncode != 0:
        skipped("throughput_line", "no network namespace with a shaped link can be had")
        sys.exit(77)
    else:
        os.execvpe("unshare", ["unshare", "--user", "--map-root-user", "--net", "--mount", "--", sys.executable,
                               *sys.argv], {**os.environ, INSIDE: "1"})
