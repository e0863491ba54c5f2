"""G1 on a real driver: the USB adapter (QEMU's FTDI, ftdi_sio) of the machine that runs the arm64 gateway is
unplugged, and comes back as another ttyUSB behind the same link. Polling resumes within 30 s, without a
restart, and what was stored is what the device served."""
import json
import os
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "support", "python"))
from fp_machine import MachineCase, arm  # noqa: E402
from fp_proc import EXPORT, Proc, csv_rows, main, until, write  # noqa: E402
from fp_site import PROFILE, VALUES, Sim  # noqa: E402

LINK = "/dev/serial/by-id/usb-adapter-if00-port0"
ETC = {
    "fault.yaml": PROFILE,
    "fieldpost.yaml": f"""gateway: {{id: gw-1}}
store: {{path: /tmp/fieldpost.db, journal_every: 500ms}}
seal: {{key: /tmp/device.key, every: 2s}}
buses:
  line: {{type: modbus-rtu, port: {LINK}, timeout: 1s}}
devices:
  a: {{bus: line, unit: 1, profile: /etc/fault.yaml, every: 1s}}
""",
    # What udev does on a board: the link is there while the adapter is.
    "mdev.conf": "ttyUSB[0-9]+ 0:0 660 *. /etc/link\n",
    "link": f"""if [ "$ACTION" = remove ]; then rm -f {LINK}; else ln -sf "/dev/$MDEV" {LINK}; fi\n"""}
# Something else holds the first port, so that its number is not free when the adapter comes back. The gateway
# is stopped once it holds five polls more than when the other port was there.
SCRIPT = f"""
mkdir -p {os.path.dirname(LINK)}
mdev -d
mdev -s
n=0
until [ -e {LINK} ] || [ $n -gt 200 ]; do usleep 50000; n=$((n + 1)); done
tail -f {LINK} >/dev/null 2>&1 &
/opt/bin/fieldpost keygen --out /tmp/device.key >/dev/null
/opt/bin/fieldpost run --config /etc/fieldpost.yaml &
gateway=$!
held() {{ /opt/bin/fieldpost export --config /etc/fieldpost.yaml --format csv 2>/dev/null; }}
n=0 enough=9999 polls=0
while [ $polls -lt $enough ] && [ $n -lt 300 ]; do
    polls=$(held | grep -c a/poll)
    echo @polls $polls $(readlink {LINK})
    if [ $enough = 9999 ] && [ -e /dev/ttyUSB1 ]; then enough=$((polls + 5)); fi
    n=$((n + 1))
    usleep 300000
done
kill -TERM $gateway
wait $gateway
echo @stopped $?
echo @held
held
echo @exit $?
"""


class Monitor:
    """QEMU's control socket (QMP)."""

    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.connect(path)
        self.f = self.s.makefile("rw")
        self.f.readline()
        if not self.say("qmp_capabilities"):
            raise AssertionError("QEMU's control socket")

    def say(self, command, **arguments):
        self.f.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.f.flush()
        while "event" in (answer := json.loads(self.f.readline())):
            pass
        return "return" in answer

    def close(self):
        self.f.close()
        self.s.close()


class Unplugged(MachineCase):
    def polls(self):
        """How many the gateway has held so far."""
        return max([int(line.split()[1]) for line in self.said().splitlines() if line.startswith("@polls ")],
                   default=0)

    def test_G1_adapter_of_a_real_driver_comes_back_under_another_number(self):
        write(os.path.join(self.folder, "fault.yaml"), PROFILE)
        site = write(os.path.join(self.folder, "site.yaml"),
                     "buses: {line: {type: modbus-rtu}}\ndevices:\n"
                     f"  a: {{bus: line, unit: 1, profile: ./fault.yaml, counter: poll, {VALUES}}}\n")
        sim = Sim(self.args.bin, site, os.path.join(self.folder, "served.csv"))
        self.stack.callback(sim.stop)
        qmp = os.path.join(self.folder, "qmp")
        qemu = Proc(self.machine(SCRIPT, ETC, sim.where["line"], [
            "-device", "qemu-xhci,id=usb", "-device", "usb-serial,id=adapter,chardev=line",
            "-qmp", f"unix:{qmp},server=on,wait=off"], usb=True))
        self.stack.callback(qemu.kill)
        until(lambda: self.polls() >= 3, 120, "polls")
        monitor = Monitor(qmp)
        self.stack.callback(monitor.close)
        self.assertTrue(monitor.say("device_del", id="adapter"))
        until(lambda: "disconnected from ttyUSB0" in self.said(), 40, "it is unplugged")
        until(lambda: monitor.say("device_add", driver="usb-serial", id="adapter2", chardev="line"), 40,
              "QEMU has let go of the first")
        until(lambda: "attached to ttyUSB1" in self.said(), 40, "it is plugged in again")
        qemu.p.wait(90)
        self.assert_held(sim)

    def assert_held(self, sim):
        """Each poll that the gateway holds was served, and none is further than 30 s from the next."""
        said = self.said()
        self.assertIn("@stopped 0\n@held\n", said)
        self.assertIn("@exit 0\n", said)
        sim.stop()
        served, polls = sim.served(), {}
        for series, at, value, *_ in csv_rows(said.split("@held\n")[1].split("@exit")[0], EXPORT):
            device, point = series.split("/")
            if device == "a":
                polls.setdefault(int(at), {})[point] = float(value)
        for values in polls.values():
            self.assertEqual(values, {p: float(v) for p, v in served["a", int(values["poll"])].items()})
        times = sorted(polls)
        self.assertGreaterEqual(len(times), 8)
        self.assertLessEqual(max(b - a for a, b in zip(times, times[1:])), 30_000)


if __name__ == "__main__":
    main(needs=("fieldpost-sim",), extra=arm)
