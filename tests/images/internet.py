"""The services of the tests' internet, started in its network namespace: `internet.py ZONE SERVE` is a DNS server on
198.18.0.53 (UDP and TCP) that answers from the file ZONE (JSON, read for each question), and a TCP server that says who
called, on each address and port of SERVE (ADDRESS:PORT,...). It prints a line when all of it listens.

ZONE: {"names": {NAME: {"a": [ADDRESS], "ttl": SECONDS, "txt": BYTES, "rcode": N, "cname": NAME, "mute": true, "wrong":
"id" | "question"}}, "log": FILE}. A name "*.d.example" stands for those below. Each question is a line of the log: the
transport, the name, the type and the port that it came from."""
import contextlib
import json
import socket
import socketserver
import struct
import sys
import threading

DNS = "198.18.0.53"


def name_at(data, at):
    labels = []
    while data[at]:
        labels.append(data[at + 1:at + 1 + data[at]].decode())
        at += 1 + data[at]
    return ".".join(labels), at + 1


def encode(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def find(zone, name):
    lower = name.lower()
    if lower in zone["names"]:
        return zone["names"][lower]
    for pattern, entry in zone["names"].items():
        if pattern.startswith("*.") and lower.endswith(pattern[1:]):
            return entry
    return None


def records(entry, kind):
    owner, ttl, made = b"\xc0\x0c", entry.get("ttl", 60), []
    if "cname" in entry:
        target = encode(entry["cname"])
        made.append(owner + struct.pack("!HHIH", 5, 1, ttl, len(target)) + target)
        owner = target
    if kind == 1:
        made += [owner + struct.pack("!HHIH", 1, 1, ttl, 4) + socket.inet_aton(address) for address in entry.get("a", [])]
    if kind == 16 and "txt" in entry:
        text = b"".join(bytes([len(part)]) + part for part in [b"x" * 250] * (entry["txt"] // 250 + 1))
        made.append(owner + struct.pack("!HHIH", 16, 1, ttl, len(text)) + text)
    return made


def answer(path, data, transport, port):
    with open(path, encoding="utf-8") as file:
        zone = json.load(file)
    ident, = struct.unpack("!H", data[:2])
    name, end = name_at(data, 12)
    kind, = struct.unpack("!H", data[end:end + 2])
    with open(zone["log"], "a", encoding="utf-8") as log:
        log.write(f"{transport} {name} {kind} {port} {ident}\n")
    entry = find(zone, name)
    if entry is not None and entry.get("mute"):
        return None
    question = data[12:end + 4]
    rcode = 3 if entry is None else entry.get("rcode", 0)
    made = records(entry or {}, kind)
    if entry and entry.get("wrong") == "id":
        ident ^= 1
    if entry and entry.get("wrong") == "question":
        question = encode("x" + name[1:]) + question[-4:]
    reply = struct.pack("!HHHHHH", ident, 0x8180 | rcode, 1, len(made), 0, 0) + question + b"".join(made)
    if transport == "udp" and len(reply) > 512:
        reply = struct.pack("!HHHHHH", ident, 0x8380, 1, 0, 0, 0) + question
    return reply


class Datagram(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        reply = answer(self.server.zone, data, "udp", self.client_address[1])
        if reply is not None:
            sock.sendto(reply, self.client_address)


class Stream(socketserver.BaseRequestHandler):
    def handle(self):
        while len(head := self.request.recv(2, socket.MSG_WAITALL)) == 2:
            data = self.request.recv(struct.unpack("!H", head)[0], socket.MSG_WAITALL)
            reply = answer(self.server.zone, data, "tcp", self.client_address[1])
            if reply is None:
                return
            self.request.sendall(struct.pack("!H", len(reply)) + reply)


class Greeter(socketserver.BaseRequestHandler):
    """One line with who called, then what it sends comes back."""

    def handle(self):
        self.request.sendall(f"hello {self.client_address[0]}\n".encode())
        with contextlib.suppress(ConnectionError):
            while data := self.request.recv(65536):
                self.request.sendall(data)


class Threading(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024


def main(zone, serve):
    socketserver.ThreadingUDPServer.daemon_threads = True
    servers = []
    if zone:
        servers += [socketserver.ThreadingUDPServer((DNS, 53), Datagram), Threading((DNS, 53), Stream)]
    for place in filter(None, serve.split(",")):
        address, port = place.split(":")
        servers.append(Threading((address, int(port)), Greeter))
    for server in servers:
        server.zone = zone
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
