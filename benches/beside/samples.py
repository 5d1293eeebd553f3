"""One sample of a contender, and rounds of them, in which the contenders take turns.
Absent: what comes of them."""

import contextlib
import os
import pathlib
import select
import subprocess
import sys
import time

from beside import contenders
from beside.processes import PATIENCE_S, Failed, cpu_seconds, ended, free_port, listens, memory, spawn, wait_until

TRANSFER_B = 1 << 30
# Some take six descriptors for each.
IDLE_PAIRS = 2000
IDLE_PAIRS_OF_PROCESSES = 400


def whole(path):
    """A file of zeros that lies in the page cache: the first who reads it is to have no more to do than the others."""
    with open(path, "wb") as file:
        file.truncate(TRANSFER_B)
    with open(path, "rb", buffering=0) as file:
        piece = bytearray(1 << 20)
        while file.readinto(piece):
            pass


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder = options, pathlib.Path(folder)
        cpus = sorted(os.sched_getaffinity(0))
        self.load_cpu, self.cpu = cpus[0], cpus[-1]
        tls = self.folder / "tls"
        made = subprocess.run(
            [options.netkit, "-q", "cert", "self-signed", "localhost", "--out", tls], capture_output=True, text=True
        )
        if made.returncode != 0 or not (tls / "cert.pem").exists():
            sys.exit(f"error: {options.netkit} made no certificate: {made.stderr.strip()}")
        both = tls / "both.pem"
        both.write_text((tls / "key.pem").read_text() + (tls / "cert.pem").read_text())
        for file in (self.folder, tls, *tls.iterdir()):
            # For peers that give up root before they read.
            file.chmod(0o755 if file.is_dir() else 0o644)
        self.paths = {
            "netkit": options.netkit,
            "load": options.load,
            "cert": tls / "cert.pem",
            "key": tls / "key.pem",
            "both": both,
            "proxyd": contenders.find("systemd-socket-proxyd"),
        }

    @contextlib.contextmanager
    def started(self, contender, kind):
        """A relay between two ports, which it is given with the process."""
        ports = {"listen": free_port(), "far": free_port()}
        folder = self.folder / f"{contender.name}-{ports['listen']}"
        folder.mkdir()
        folder.chmod(0o755)
        paths = {**self.paths, **ports, "dir": folder}
        for name, text in contender.files.items():
            (folder / name).write_text(text.format(**paths))
        said = open(folder / "said", "wb+")
        process = spawn(contender.argv(paths), self.cpu, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            try:
                wait_until("listening", lambda: listens(ports["listen"], kind), process)
            except Failed as failed:
                said.seek(0)
                raise Failed(f"{failed}; {said.read(500).decode(errors='replace').strip()}") from None
            yield process, ports
        finally:
            ended(process)
            said.close()

    def load(self, ports, row, *more, **streams):
        command = [self.options.load, *row.load.split()]
        command += ["--to", f"127.0.0.1:{ports['listen']}", "--far", f"127.0.0.1:{ports['far']}", *more]
        if row.group == "tls":
            command += ["--trust", str(self.paths["cert"])]
        cpu = self.cpu if row.shared_cpu else self.load_cpu
        return spawn(command, cpu, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **streams)

    def measured(self, row, process, ports):
        """One sample of a relay: what it did a second, and what CPU time it took for that."""
        before = cpu_seconds(process.pid)
        load = self.load(ports, row, "--seconds", str(self.options.seconds))
        try:
            out, err = load.communicate(timeout=PATIENCE_S + self.options.seconds)
        except subprocess.TimeoutExpired:
            raise Failed("the load did not end") from None
        finally:
            ended(load)
        if load.returncode != 0:
            raise Failed(err.strip()[:300])
        rate, total, *lost = (float(word) for word in out.split())
        if rate == 0 or total == 0:
            raise Failed("nothing came through")
        # Processes that end with their connection have to be waited for by then.
        time.sleep(0.05)
        sample = {"rate": rate, "cpu": (cpu_seconds(process.pid) - before) / total}
        if lost:
            sample["lost"] = lost[0] / (total + lost[0])
        return sample

    def idle(self, row, contender):
        """One sample of memory, of a relay of its own."""
        pairs = IDLE_PAIRS_OF_PROCESSES if contender.forks else IDLE_PAIRS
        with self.started(contender, "tcp") as (process, ports):
            # What it takes for the first of them is not what each takes.
            first = self.load(ports, row, "--connections", "20", stdin=subprocess.PIPE)
            try:
                self.stand(first)
                before = memory(process.pid)
            finally:
                ended(first)
            load = self.load(ports, row, "--connections", str(pairs), stdin=subprocess.PIPE)
            try:
                self.stand(load)
                return {"rate": (memory(process.pid) - before) / pairs}
            finally:
                ended(load)

    def stand(self, load):
        said = select.select([load.stdout], [], [], PATIENCE_S)[0] and load.stdout.readline().strip()
        if said != "standing":
            load.kill()
            raise Failed(load.communicate()[1].strip()[:300] or "the connections were not made in time")
        # Until the last of them has come to rest.
        time.sleep(0.3)

    def client(self, row, contender):
        """One sample of a client program: a gibibyte through it."""
        far = free_port()
        at = f"127.0.0.1:{far}"
        command = contender.argv({**self.paths, "far": far})
        size = str(TRANSFER_B)
        served = {"file": ["sink", at], "null": ["source", at, size], "pipe": ["echo", at]}[row.load]
        load = self.options.load
        running = [spawn([load, *served], self.load_cpu, stdout=subprocess.PIPE)]
        try:
            wait_until("listening", lambda: listens(far, "tcp"), running[0])
            source, to, drain = subprocess.DEVNULL, subprocess.DEVNULL, None
            if row.load == "file":
                source = open(self.folder / "file", "rb")
            if row.load == "pipe":
                pour = spawn([load, "pour", size], self.load_cpu, stdout=subprocess.PIPE)
                running.append(pour)
                drain = spawn([load, "drain"], self.load_cpu, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                running.append(drain)
                source, to = pour.stdout, drain.stdin
                pour.stdout = drain.stdin = None
            start = time.monotonic()
            client = spawn(command, self.cpu, stdin=source, stdout=to, stderr=subprocess.DEVNULL)
            running.append(client)
            for stream in (source, to):
                # Whoever reads to its end waits for the last of those who could write.
                if stream != subprocess.DEVNULL:
                    stream.close()
            deadline = start + 2 * PATIENCE_S
            while True:
                pid, status, used = os.wait4(client.pid, os.WNOHANG)
                if pid:
                    break
                if time.monotonic() > deadline:
                    raise Failed("it did not end")
                time.sleep(0.0005)
            elapsed = time.monotonic() - start
            client.returncode = os.waitstatus_to_exitcode(status)
            if client.returncode != 0:
                raise Failed(f"status {client.returncode}")
            counter = running[0] if row.load == "file" else drain
            if counter:
                arrived = int(counter.communicate(timeout=PATIENCE_S)[0] or 0)
                if arrived != TRANSFER_B:
                    raise Failed(f"{arrived} of {TRANSFER_B} bytes arrived")
            return {"rate": TRANSFER_B / elapsed, "cpu": (used.ru_utime + used.ru_stime) / TRANSFER_B}
        finally:
            for process in running:
                ended(process)

    def relay(self, stack, standing, contender):
        """The one that stands already; another one where it has ended, which some do when many clients break off."""
        process, ports = standing.get(contender.name, (None, None))
        if process is None or process.poll() is not None:
            kind = "udp" if contender in contenders.UDP else "tcp"
            process, ports = standing[contender.name] = stack.enter_context(self.started(contender, kind))
        return process, ports

    def run(self, group, rows, present):
        """All rows of a group; in each, the contenders take turns."""
        samples = {}

        def keep(row, contender, take):
            try:
                sample = take()
            except (Failed, OSError, ValueError, subprocess.TimeoutExpired) as why:
                print(f"  {row.name}: {contender.name}: no figure: {why}", file=sys.stderr, flush=True)
                return
            samples.setdefault((row.name, contender.name), []).append(sample)

        for row in rows:
            print(f"  {row.name}", file=sys.stderr, flush=True)
            if row.load == "file":
                whole(self.folder / "file")
            if group == "connect" or row.load == "stay":
                sampled = self.client if group == "connect" else self.idle
                for _ in range(self.options.rounds):
                    for contender in present:
                        keep(row, contender, lambda: sampled(row, contender))
                continue
            with contextlib.ExitStack() as stack:
                standing = {}
                for _ in range(self.options.rounds):
                    for contender in present:
                        keep(row, contender, lambda: self.measured(row, *self.relay(stack, standing, contender)))
        return samples
