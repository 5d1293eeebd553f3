"""What is measured: the rows of the tables, and which contenders take part in each.
Absent: how a sample is taken."""

from beside.contenders import CLIENTS, RELAYS, TLS, UDP


class Row:
    """What is measured of a group of contenders. `load` is what the load is told to do, or how a client program is used."""

    def __init__(self, name, group, what, load, unit, shared_cpu=False):
        self.name, self.group, self.what, self.load, self.unit = name, group, what, load, unit
        self.shared_cpu = shared_cpu


GB, TRIP, RATE = "GB/s", "µs", "/s"
ROWS = [
    Row("relay-bulk", "relay", "bulk, one way", "bulk --way up", GB),
    Row("relay-both", "relay", "bulk, both ways at once", "bulk --way both", GB),
    Row("relay-64", "relay", "bulk, one way, 64 connections", "bulk --way up --connections 64", GB),
    Row("relay-ask", "relay", "ping-pong of 64 bytes, all on one CPU", "ask", TRIP, shared_cpu=True),
    Row("relay-ask-64", "relay", "ping-pong of 64 bytes, 64 connections, round trips", "ask --connections 64", RATE),
    Row("relay-visit", "relay", "connect, a byte there and back, close", "visit --connections 8", RATE),
    Row("relay-idle", "relay", "memory of an idle pair", "stay", "B"),
    Row("tls-in", "tls", "bulk, TLS to plain", "bulk --way up", GB),
    Row("tls-out", "tls", "bulk, plain to TLS", "bulk --way down", GB),
    Row("tls-visit", "tls", "handshakes (TLS 1.3, P-256, X25519)", "visit --connections 8", RATE),
    Row("tls-idle", "tls", "memory of an idle pair", "stay", "B"),
    Row("udp-64", "udp", "datagrams of 64 bytes, there and back", "datagrams --size 64 --connections 4 --window 32", RATE),
    Row("udp-1200", "udp", "datagrams of 1200 bytes, there and back", "datagrams --size 1200 --connections 4 --window 16", RATE),
    Row("connect-file", "connect", "a file to a socket", "file", GB),
    Row("connect-null", "connect", "a socket to /dev/null", "null", GB),
    Row("connect-pipe", "connect", "a pipe to an echo server and back to a pipe", "pipe", GB),
]
GROUPS = {
    "relay": ("TCP to TCP", RELAYS),
    "tls": ("TLS taken off", TLS),
    "udp": ("UDP to UDP", UDP),
    "connect": ("Client programs", CLIENTS),
}
