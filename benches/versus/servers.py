"""The servers that are measured: started on loopback, in folders of their own, and ended again."""

import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

START_S = 60
STOP_S = 30


def slug(name):
    return name.replace(",", "").replace(" ", "-")


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    """A process with a folder of its own; nothing of either outlives `stop`."""

    identity = []

    def __init__(self, name, logs):
        self.name = name
        self.port = free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"versus-{slug(name)}-"))
        self.log = open(logs / f"{slug(name)}.log", "a")
        self.process = None

    def command(self):
        raise NotImplementedError

    def start(self):
        self.process = subprocess.Popen(
            list(map(str, self.command())), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        began = time.monotonic()
        end = began + START_S
        while not self.is_ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with status {self.process.returncode}; see {self.log.name}")
            if time.monotonic() > end:
                raise RuntimeError(f"{self.name} was not ready after {START_S} s; see {self.log.name}")
            time.sleep(0.1)
        self.start_s = time.monotonic() - began

    def is_ready(self):
        raise NotImplementedError

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def stop(self):
        self.end()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def processes(self):
        """Its process and all below it."""
        parents = {}
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    stat = (entry / "stat").read_text()
                except OSError:
                    continue
                parents[int(entry.name)] = int(stat[stat.rindex(")") + 1 :].split()[1])
        group = {self.process.pid}
        while True:
            more = {pid for pid, parent in parents.items() if parent in group} - group
            if not more:
                return group
            group |= more

    def memory_kib(self):
        """Proportional set size: a page that several processes share counts once."""
        total = 0
        for pid in self.processes():
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        return total

    def cpu_s(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def settle(self, most_s=300):
        """Waits until it has nothing left to do by itself."""
        end = time.monotonic() + most_s
        while time.monotonic() < end:
            before = self.cpu_s()
            time.sleep(2)
            if self.cpu_s() - before < 0.05:
                return


class Stationmaster(Server):
    identity = ["--user-suffix", "-acme", "--password-pattern", "Pw!{user}x"]

    def __init__(self, program, logs, shards=0, name="stationmaster", http=None):
        super().__init__(name, logs)
        self.http = http
        self.program = program
        self.config = self.folder / "stationmaster.toml"
        self.config.write_text(
            f"""
            [sip]
            listen = ["udp:127.0.0.1:{self.port}"]
            domains = ["example.test"]
            realm = "example.test"
            shards = {shards}
            [store]
            url = "sled:{self.folder}/store"
            cache_mib = 64
            [admin]
            socket = "{self.folder}/admin.sock"
            {f'[http]{chr(10)}listen = "127.0.0.1:{http}"' if http else ''}
            """
        )

    def command(self):
        return [self.program, "-c", self.config, "serve"]

    def tell(self, *words):
        return subprocess.run([self.program, "-c", self.config, *words], capture_output=True, text=True)

    def is_ready(self):
        # Before its socket stands, a command would open the store itself.
        return (self.folder / "admin.sock").exists() and self.tell("tenant", "list").returncode == 0

    def sign_in(self, user):
        """Opens a session over HTTP with the right password; the status of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=10)
        body = json.dumps({"login": f"{user}-acme", "password": f"Pw!{user}x"})
        try:
            connection.request("POST", "/api/v1/session", body, {"Content-Type": "application/json"})
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def threads_cpu_s(self):
        """CPU seconds used so far, by the names of the threads."""
        used = {}
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            name, _, rest = (task / "stat").read_text().partition("(")[2].rpartition(")")
            user, system = rest.split()[11:13]
            used[name] = used.get(name, 0) + (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
        return used

    def add_users(self, first, count):
        table = self.folder / "users.csv"
        with table.open("w") as out:
            # Without e-mail: else each first registration also has a mail written.
            out.write("tenant,extension,name,email,password\n")
            for user in range(first, first + count):
                out.write(f"acme,{user},User {user},,Pw!{user}x\n")
        for words in [("tenant", "add", "acme", "--name", "Acme"), ("import", table)]:
            began = time.monotonic()
            done = self.tell(*words)
            self.import_s = time.monotonic() - began
            if done.returncode:
                raise RuntimeError(f"{self.name}: {words[0]}: {done.stdout}{done.stderr}")
        table.unlink()

    def restart(self):
        self.end()
        self.start()

    def disk_kib(self):
        return sum(file.stat().st_blocks // 2 for file in (self.folder / "store").rglob("*") if file.is_file())


class Kamailio(Server):
    def __init__(self, config, logs, no_dialog):
        install_kamailio()
        super().__init__("kamailio", logs)
        self.config = config
        self.defines = ["-A", "NO_DIALOG"] if no_dialog else []

    def command(self):
        return [
            "kamailio", "-DD", "-f", self.config, "-A", f"LISTEN=127.0.0.1:{self.port}", *self.defines,
            "-n", "2", "-m", "4096", "-M", "8", "-x", "tlsf", "-X", "tlsf",
            "-Y", self.folder, "-P", self.folder / "pid", "-w", self.folder,
        ]  # fmt: skip

    def is_ready(self):
        """Whether a worker answers; the request is one that it refuses."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.bind(("127.0.0.1", 0))
            phone.settimeout(0.2)
            me = "127.0.0.1:%d" % phone.getsockname()[1]
            request = (
                f"OPTIONS sip:127.0.0.1:{self.port} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKready\r\n"
                f"Max-Forwards: 9\r\nFrom: <sip:{me}>;tag=1\r\nTo: <sip:{me}>\r\nCall-ID: ready\r\n"
                "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
            )
            try:
                phone.sendto(request.encode(), ("127.0.0.1", self.port))
                return phone.recv(4096).startswith(b"SIP/2.0 ")
            except OSError:
                return False


class Echo(Server):
    """Sends each packet back, so many per system call at most: below it no server over UDP can be."""

    def __init__(self, sipload, logs, batch):
        super().__init__("echo" if batch == 1 else "echo, batched", logs)
        self.sipload = sipload
        self.batch = batch

    def command(self):
        return [self.sipload, "echo", "--listen", f"127.0.0.1:{self.port}", "--batch", self.batch]

    def is_ready(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.settimeout(0.2)
            try:
                peer.connect(("127.0.0.1", self.port))
                peer.send(b"x")
                return peer.recv(10) == b"x"
            except OSError:
                return False


def install_kamailio():
    """Debian's package, without starting its service."""
    if shutil.which("kamailio"):
        return
    if os.geteuid():
        raise RuntimeError("kamailio is missing; as root: apt-get install --no-install-recommends kamailio")
    print("installing kamailio …", flush=True)
    if os.path.isdir("/run/systemd/system"):
        subprocess.run(["systemctl", "mask", "--runtime", "kamailio"], check=True)
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    subprocess.run(["apt-get", "update", "-q"], env=quiet, check=True)
    install = ["apt-get", "install", "-q", "-y", "--no-install-recommends", "kamailio"]
    subprocess.run(install, env=quiet, check=True)
