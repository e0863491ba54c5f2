"""A real mosquitto on a free port, and messages that mosquitto_pub publishes to it."""
import os
import socket
import subprocess

from fp_proc import Proc, free_port, until, write


class Broker:
    """Its sessions outlive a restart, as with a broker that is set up for that."""

    def __init__(self, folder):
        self.folder, self.proc, self.port = folder, None, free_port()
        os.makedirs(folder, exist_ok=True)
        self.conf = write(os.path.join(folder, "mosquitto.conf"), f"""listener {self.port} 127.0.0.1
user root
allow_anonymous true
persistence true
persistence_location {folder}/
autosave_on_changes true
autosave_interval 1
""")

    def start(self):
        self.proc = Proc(["/usr/sbin/mosquitto", "-c", self.conf])
        until(self._answers, 20, "the broker to listen")
        return self

    def _answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def stop(self):
        proc, self.proc = self.proc, None
        if proc:
            proc.stop()

    def publish(self, topic, payload):
        """With QoS 1: the broker has it when this returns."""
        data = payload if isinstance(payload, bytes) else payload.encode()
        subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.port), "-q", "1", "-t",
                        topic, "-s"], input=data, check=True, timeout=30)
