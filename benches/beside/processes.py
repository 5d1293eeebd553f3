"""Processes that are measured: started on a CPU, waited for, ended; the CPU time and the memory of all that they started.
Absent: who they are."""

import contextlib
import os
import pathlib
import random
import resource
import signal
import socket
import subprocess
import time

from beside import contenders

TICK = os.sysconf("SC_CLK_TCK")

# Whoever is silent for so long has failed.
PATIENCE_S = 30


class Failed(Exception):
    """A contender did not do what it was to do: it has no figure in this row."""


def pinned(cpu):
    def before():
        os.sched_setaffinity(0, {cpu})
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    return before


def spawn(argv, cpu, **streams):
    argv = [contenders.find(argv[0]) or argv[0], *argv[1:]]
    return subprocess.Popen(argv, preexec_fn=pinned(cpu), start_new_session=True, **streams)


def ended(process):
    """Ends what we started, and all that it started."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=3)
            if kind == signal.SIGTERM:
                # A child that outlives its parent is in the group still.
                time.sleep(0.05)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            stream.close()


def stat(pid):
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2 :].split()


def tree(pid):
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry)] = int(stat(entry)[1])
    found, new = set(), {pid}
    while new:
        found |= new
        new = {child for child, parent in parents.items() if parent in found} - found
    return found


def cpu_seconds(pid):
    """Of the process, of those that it has, and of those that it had."""
    ticks = 0
    for each in tree(pid):
        with contextlib.suppress(OSError):
            ticks += sum(int(field) for field in stat(each)[11:15])
    return ticks / TICK


def memory(pid):
    """What its processes take of the machine's memory; pages that they share count once."""
    total = 0
    for each in tree(pid):
        with contextlib.suppress(OSError):
            for line in pathlib.Path(f"/proc/{each}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def free_port():
    """Below the ports that the system picks for those who connect."""
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
            with contextlib.suppress(OSError):
                stream.bind(("127.0.0.1", port))
                datagram.bind(("127.0.0.1", port))
                return port


def listens(port, kind):
    # 0A is LISTEN; a UDP socket that is bound and no more is 07.
    state = {"tcp": "0A", "udp": "07"}[kind]
    lines = pathlib.Path(f"/proc/net/{kind}").read_text().splitlines()[1:]
    return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == state for line in lines)


def wait_until(what, holds, process):
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if process.poll() is not None:
            raise Failed(f"{what}: it has ended with status {process.returncode}")
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {PATIENCE_S} s")
        time.sleep(0.01)
