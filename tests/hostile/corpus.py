"""Reads the cases of tests/hostile/http (README.md there says how they are written) and speaks to a port in raw bytes."""
import os
import re
import socket

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "http")
REPEAT = re.compile(r"<((?:[^<>]|<(?![^<>]*\*\d))*?)\*(\d+)>")
STATUS = re.compile(rb"(?:\A|(?<=[\n}\]\"]))HTTP/1\.1 (\d{3}) ")


class Case:
    def __init__(self, file, line):
        statuses, self.name, self.text = line.split(" | ", 2)
        self.id = f"{file}: {self.name}"
        both = statuses.rstrip("!").split("/")
        self.closes = statuses.endswith("!")
        self.api, self.gateway = ([int(status) for status in one.rstrip("!").split(",")] for one in (both[0], both[-1]))

    def data(self, words):
        """The bytes, with the words of one port put in for @GET@ and company."""
        text = self.text
        for word in ("HEAD", "GET", "POST", "HOST"):
            text = text.replace(f"@{word}@", words[word])
        text = REPEAT.sub(lambda found: found.group(1) * int(found.group(2)), text)
        return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def cases():
    found = []
    for file in sorted(os.listdir(FOLDER)):
        if not file.endswith(".cases"):
            continue
        with open(os.path.join(FOLDER, file), encoding="utf-8") as lines:
            found += [Case(file.removesuffix(".cases"), line.rstrip("\n")) for line in lines
                      if line.strip() and not line.startswith("#")]
    return found


def head_words(get, post, host):
    return {"GET": get, "POST": post, "HOST": host,
            "HEAD": f"POST {post} HTTP/1.1\\r\\nHost: {host}\\r\\nContent-Type: application/json\\r\\n"}


def send(sock, pieces):
    """All pieces, as far as the other side takes them. False: it has closed."""
    try:
        for piece in pieces:
            sock.sendall(piece)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def receive(sock):
    """Everything until the other side closes."""
    received = b""
    try:
        while chunk := sock.recv(65536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def responses(received, strict=True):
    """[(status, head, body)] of complete replies; what is no reply fails, or is one of status 0 (nginx speaks HTTP/0.9)."""
    found = []
    while received:
        head, blank, rest = received.partition(b"\r\n\r\n")
        if not strict and not re.match(rb"HTTP/1\.1 \d{3} ", head):
            return [*found, (0, b"", received)]
        assert blank and re.match(rb"HTTP/1\.1 \d{3} ", head), received[:200]
        status = int(head[9:12])
        length = re.search(rb"\r\n[Cc]ontent-[Ll]ength: (\d+)", head)
        if status == 100:
            received = rest
            continue
        if re.search(rb"\r\n[Tt]ransfer-[Ee]ncoding: chunked", head):
            body = b""
            while True:
                size, _, rest = rest.partition(b"\r\n")
                count = int(size or b"0", 16)
                body, rest = body + rest[:count], rest[count + 2:]
                if count == 0:
                    break
        elif length:
            count = int(length.group(1))
            body, rest = rest[:count], rest[count:]
        else:
            body, rest = rest, b""
        found.append((status, head, body))
        received = rest
    return found


def connect(port, timeout_s=20):
    sock = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def exchange(port, pieces, timeout_s=20):
    with connect(port, timeout_s) as sock:
        send(sock, pieces)
        return receive(sock)
