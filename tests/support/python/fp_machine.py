"""An emulated machine for what needs a driver that this one has no hardware for: the arm64 programs on Debian's
kernel in QEMU, with busybox and a script as its init. The far end of its serial line is a pty of fieldpost-sim;
what it prints is in a file."""
import os
import re
import shutil

from fp_proc import Case, run, write

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
QEMU = ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-m", "512", "-nodefaults"]
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
exec </dev/null >/dev/ttyS0 2>&1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp
ip link set lo up
for m in usb-common usbcore xhci-hcd xhci-pci usbserial ftdi_sio; do
    if [ -e /modules/$m.ko ]; then insmod /modules/$m.ko; fi
done
"""


def needed(path, folders, found):
    """The libraries that a program loads, by name, into `found`."""
    for name in re.findall(r"\(NEEDED\).*\[(.+)\]", run(["readelf", "-d", path]).stdout):
        if name not in found:
            found[name] = next(p for f in folders if os.path.exists(p := os.path.join(f, name)))
            needed(found[name], folders, found)


class MachineCase(Case):
    """Skipped, with the reason, where no machine can be had. Needs --arm, the build folder of the programs."""

    def setUp(self):
        super().setUp()
        why = self._missing()
        if why:
            self.skipTest(why)
        self.console = write(os.path.join(self.folder, "console"), "")

    def _missing(self):
        for tool in (QEMU[0], "cpio", "fdtput"):
            if not shutil.which(tool):
                return f"no {tool}: board/host/install arm"
        r = run([os.path.join(ROOT, "board", "host", "kernel")], 600, None)
        self.kernel = r.stdout.strip()
        return f"no kernel: {r.stderr.strip()[-300:]}" if r.returncode else None

    def said(self):
        """What it has printed so far."""
        with open(self.console, encoding="utf-8", errors="replace") as f:
            return f.read().replace("\r", "")

    def machine(self, script, etc, line, more=(), usb=False):
        """The command that runs it on `script` until that ends. etc: {name: text}, its /etc. line: the pty
        that is the chardev `line`. usb: it has the drivers, and its kernel tells what they do."""
        return [*QEMU, "-display", "none", "-no-reboot", "-kernel", os.path.join(self.kernel, "vmlinuz"),
                "-initrd", self._files(script, etc, usb),
                "-append", f"console=ttyS0 {'loglevel=7' if usb else 'quiet'} panic=-1 rdinit=/init",
                "-chardev", f"file,id=console,path={self.console}", "-device", "pci-serial,chardev=console",
                "-chardev", f"serial,id=line,path={line}", *more]

    def _files(self, script, etc, usb):
        """Its files, as an archive that the kernel unpacks."""
        top = os.path.join(self.folder, "root")
        libs = os.path.join(top, "lib", "aarch64-linux-gnu")
        for d in (libs, *(os.path.join(top, d) for d in
                          ("bin", "dev", "proc", "sys", "tmp", "etc", "opt/bin", "opt/lib"))):
            os.makedirs(d)
        program = os.path.join(self.args.arm, "bin", "fieldpost")
        own = os.path.join(self.args.arm, "lib", "fieldpost")
        shutil.copy(program, os.path.join(top, "opt", "bin"))
        shutil.copytree(own, os.path.join(top, "opt", "lib", "fieldpost"), symlinks=True)
        sysroot = os.path.join(self.args.arm, "..", "sysroot-arm64")
        found = {}
        needed(program, [own, *(os.path.join(sysroot, d) for d in (
            "usr/lib/aarch64-linux-gnu", "lib/aarch64-linux-gnu"))], found)
        for path in found.values():
            shutil.copy(path, libs)
        os.symlink("aarch64-linux-gnu/ld-linux-aarch64.so.1", os.path.join(top, "lib", "ld-linux-aarch64.so.1"))
        shutil.copy(os.path.join(self.kernel, "busybox"), os.path.join(top, "bin"))
        if usb:
            shutil.copytree(os.path.join(self.kernel, "modules"), os.path.join(top, "modules"))
        write(os.path.join(top, "init"), INIT + script + "\npoweroff -f\n", 0o755)
        for name, text in etc.items():
            write(os.path.join(top, "etc", name), text)
        packed = os.path.join(self.folder, "root.cpio")
        run(["sh", "-c", 'cd "$1" && find . | cpio --quiet -o -H newc >"$2"', "sh", top, packed])
        return packed


def arm(parser):
    parser.add_argument("--arm", required=True, help="build folder of the arm64 programs")
