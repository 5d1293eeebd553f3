"""Who is measured, and how each of them is started: as its own manual says, with what makes it fastest at the job.
Absent: what is measured, and how."""

import dataclasses
import os
import shutil

# Debian's places for servers, which are not on everybody's path.
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/lib/systemd", "/lib/systemd"])
NGINX_STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"


@dataclasses.dataclass
class Contender:
    """`command` and `files` are formats: {listen}, {far}, {dir}, {cert}, {key}, {both}, {netkit}, {load}."""

    name: str
    command: str
    # What prints its version; nothing, if it has none.
    version: str
    files: dict = dataclasses.field(default_factory=dict)
    # A process for each connection: fewer of them make a figure.
    forks: bool = False
    needs: tuple = ()

    def argv(self, paths, command=None):
        """Its command, or another one of its own; a path is one word, whatever is in it."""
        return [word.format(**paths) for word in (command or self.command).split()]

    def present(self, paths):
        program = self.command.split()[0].format(**paths)
        return bool(find(program)) and all(find(need) or os.path.exists(need) for need in self.needs)


def find(program):
    return shutil.which(program, path=PATH)


HAPROXY = """global
    maxconn 4500
    maxpipes 800
    tune.pipesize 1048576
defaults
    mode tcp
    maxconn 4500
    option splice-request
    option splice-response
    timeout connect 5s
    timeout client 10m
    timeout server 10m
listen bench
    bind 127.0.0.1:{listen} backlog 4096 %s
    server far 127.0.0.1:{far}
"""

NGINX = (
    f"load_module {NGINX_STREAM};\n"
    "daemon off; master_process off; worker_processes 1; pid {dir}/nginx.pid; error_log stderr crit;\n"
    "events {{ worker_connections 19000; }}\n"
    "stream {{ access_log off; server {{ listen 127.0.0.1:{listen} %s; proxy_pass 127.0.0.1:{far}; %s }} }}\n"
)

STUNNEL = """foreground = quiet
pid =
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[bench]
accept = 127.0.0.1:{listen}
connect = 127.0.0.1:{far}
cert = {cert}
key = {key}
"""

HITCH = """frontend = {{ host = "127.0.0.1" port = "{listen}" }}
backend = "[127.0.0.1]:{far}"
pem-file = "{both}"
workers = 1
backlog = 4096
daemon = off
tls-protos = TLSv1.2 TLSv1.3
""" + ('user = "nobody"\n' if os.geteuid() == 0 else "")

NETKIT = "{netkit} --version"


def haproxy(bind=""):
    return Contender("haproxy", "haproxy -db -f {dir}/haproxy.cfg", "haproxy -v", {"haproxy.cfg": HAPROXY % bind})


def nginx(listen, settings=""):
    files = {"nginx.conf": NGINX % (listen, settings)}
    return Contender("nginx", "nginx -e stderr -c {dir}/nginx.conf", "nginx -v", files, needs=(NGINX_STREAM,))


def socat(listen, far):
    return Contender("socat", f"socat {listen} {far}", "socat -V", forks=True)


RELAYS = [
    Contender("netkit", "{netkit} -q relay tcp:{listen}:interface=127.0.0.1 tcp:127.0.0.1:{far}", NETKIT),
    haproxy(),
    nginx("backlog=4096"),
    Contender(
        "systemd-socket-proxyd",
        "systemd-socket-activate -l 127.0.0.1:{listen} {proxyd} --connections-max=9000 127.0.0.1:{far}",
        "systemd-socket-activate --version",
        needs=("systemd-socket-proxyd",),
    ),
    socat("TCP-LISTEN:{listen},bind=127.0.0.1,reuseaddr,fork,backlog=1024,nodelay", "TCP:127.0.0.1:{far},nodelay"),
]

TLS = [
    Contender(
        "netkit",
        "{netkit} -q relay tls:{listen}:interface=127.0.0.1:privateKey={key}:certKey={cert} tcp:127.0.0.1:{far}",
        NETKIT,
    ),
    haproxy("ssl crt {both}"),
    nginx("ssl backlog=4096", "ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;"),
    Contender("stunnel", "stunnel4 {dir}/stunnel.conf", "stunnel4 -version", {"stunnel.conf": STUNNEL}),
    Contender("hitch", "hitch --config={dir}/hitch.conf", "hitch --version", {"hitch.conf": HITCH}),
    socat(
        "OPENSSL-LISTEN:{listen},bind=127.0.0.1,reuseaddr,fork,backlog=1024,nodelay,cert={cert},key={key},verify=0",
        "TCP:127.0.0.1:{far},nodelay",
    ),
]

UDP = [
    Contender("netkit", "{netkit} -q relay udp:{listen}:interface=127.0.0.1 udp:127.0.0.1:{far}", NETKIT),
    # No peer, but the measure for those that know better than a system call for each datagram.
    Contender("a call each", "{load} single 127.0.0.1:{listen} 127.0.0.1:{far}", ""),
    nginx("udp"),
    socat("UDP-LISTEN:{listen},bind=127.0.0.1,reuseaddr,fork", "UDP:127.0.0.1:{far}"),
]

CLIENTS = [
    Contender("netkit", "{netkit} -q connect tcp:127.0.0.1:{far}", NETKIT),
    Contender("nc", "nc -N 127.0.0.1 {far}", "nc -h"),
    Contender("ncat", "ncat 127.0.0.1 {far}", "ncat --version"),
    # Its half second after the end of the input would cut off what the far end still has to say.
    Contender("socat", "socat -t 60 - TCP:127.0.0.1:{far}", "socat -V"),
]
