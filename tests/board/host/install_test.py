"""What `cmake --install` leaves: a tree that is whole and works from where it lies.
install_test.py --build DIR [--page yes]: of that build; its verify.html must be there."""
import argparse
import glob
import os
import shutil
import stat
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
CONFIG = """gateway: {id: gw-1}
store: {path: %(dir)s/gw.db}
seal: {key: %(dir)s/device.key}
buses: {plant: {type: modbus-tcp, host: 127.0.0.1, port: 1502}}
devices: {meter-1: {bus: plant, unit: 1, profile: eastron-sdm630}}
"""


def run(*args, ok=0, **more):
    r = subprocess.run(args, capture_output=True, text=True, timeout=120, check=False, **more)
    assert r.returncode == ok, (args, r.returncode, r.stdout, r.stderr)
    return r


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--build", required=True)
    p.add_argument("--page", action="store_true", help="the build has a verify.html")
    a = p.parse_args()
    folder = tempfile.mkdtemp(prefix="fieldpost-install-")
    try:
        check(a, folder)
    finally:
        shutil.rmtree(folder)


def check(a, folder):
    # who builds the program alone, as the demo does, has the files that it looks for beside itself
    needs = subprocess.run(["ninja", "-C", a.build, "-t", "query", "bin/fieldpost"], check=True, capture_output=True,
                           text=True).stdout
    assert "gateway/profiles" in needs, needs
    run("cmake", "--install", a.build, "--prefix", "/usr", env={**os.environ, "DESTDIR": folder})
    usr = os.path.join(folder, "usr")
    found = {os.path.relpath(os.path.join(d, n), usr) for d, _, names in os.walk(folder) for n in names}
    profiles = {f"share/fieldpost/profile/{os.path.basename(x)}"
                for x in glob.glob(os.path.join(ROOT, "sensors", "profile", "*.yaml"))}
    catalogue = os.path.join(ROOT, "gateway", "indicator", "catalogue")
    indicators = {"share/fieldpost/indicator/" + os.path.relpath(x, catalogue)
                  for x in glob.glob(os.path.join(catalogue, "**", "*.yaml"), recursive=True)}
    territories = {f"share/fieldpost/territory/{os.path.basename(x)}"
                   for x in glob.glob(os.path.join(ROOT, "gateway", "indicator", "territory", "*.yaml"))}
    want = {"bin/fieldpost", "bin/fieldpost-city", "share/man/man1/fieldpost.1",
            "share/man/man1/fieldpost-city.1", "share/man/man5/fieldpost.yaml.5",
            "share/bash-completion/completions/fieldpost",
            "share/bash-completion/completions/fieldpost-city", "lib/fieldpost/libssh2.so.1", *profiles,
            *indicators, *territories,
            *(["share/fieldpost/verify.html"] if a.page else [])}
    assert len(profiles) > 3 and len(indicators) > 3 and len(territories) > 3 and found == want, found ^ want
    for name in found:  # plain files, for everybody to read, for root alone to write
        mode = os.lstat(os.path.join(usr, name)).st_mode
        assert stat.S_ISREG(mode) and mode & 0o7777 == (0o755 if name.startswith("bin/") else 0o644), name
    exe = os.path.join(usr, "bin", "fieldpost")
    conf = os.path.join(folder, "fieldpost.yaml")
    with open(conf, "w", encoding="ascii") as f:
        f.write(CONFIG % {"dir": folder})
    run(exe, "keygen", "--out", os.path.join(folder, "device.key"))
    run(exe, "check", "--config", conf)
    assert "air-aqi-day" in run(exe, "indicators").stdout
    # the profile is the one of this tree
    os.rename(os.path.join(usr, "share", "fieldpost"), os.path.join(usr, "share", "elsewhere"))
    assert "eastron-sdm630" in run(exe, "check", "--config", conf, ok=2).stderr
    for program in (exe, exe + "-city"):
        assert "usage" in run(program, "--help").stdout
    assert os.path.join(usr, "bin/../lib/fieldpost/libssh2.so.1") in run("ldd", exe).stdout
    for page in glob.glob(os.path.join(usr, "share", "man", "man*", "*")):
        run("mandoc", "-Tlint", "-Werror", page)
    done = run("bash", "-c", "source \"$1\"; complete -p fieldpost-city", "bash",
               os.path.join(usr, "share", "bash-completion", "completions", "fieldpost-city"))
    assert "fieldpost-city" in done.stdout
    print(f"{len(found)} files")


if __name__ == "__main__":
    sys.exit(main())
