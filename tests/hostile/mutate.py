"""Requests whose end two servers might see in different places: made from the rules of RFC 9112 by a seeded generator, and
mutations of them. The bytes alone; test_differential.py shows them to three servers."""

ODD = 0.06  # how often something is not as it should be, at each place where it could


def pick(source, good, odd):
    return source.choice(odd) if source.random() < ODD else good


BLANKS = [b"", b" ", b"  ", b"\t", b" \t", b"\x0b", b"\x0c", b"\xa0", b"\r", b"\0"]
LINE_ENDS = [b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n ", b"\0\r\n"]
CODINGS = [b"Chunked", b"CHUNKED", b"identity", b"gzip", b"chunked, chunked", b"gzip, chunked", b"chunked, gzip",
           b"chunked,", b",chunked", b"\"chunked\"", b"chunked;a=b", b"xchunked", b"chunkedx", b"chun ked", b"", b"chunked\x0b",
           b"\x0bchunked", b"identity, chunked", b"chunked, identity", b"'chunked'", b"chun\r\n ked"]
NAMES = {b"l": [b"content-length", b"Content_Length", b"Content-Length ", b" Content-Length",
                b"Content-Length\t", b"Content-Length\0", b"Content\x2dlength", b"CONTENT-LENGTH", b"\x0bContent-Length"],
         b"e": [b"transfer-encoding", b"Transfer_Encoding", b"Transfer-Encoding ", b" Transfer-Encoding",
                b"Transfer-Encoding\t", b"Transfer-Encoding\x0b", b"TRANSFER-ENCODING", b"\0Transfer-Encoding"]}
BODIES = [b"", b"a", b"hello", b"0\r\n\r\n", b"{}", b"\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"GET /in HTTP/1.1\r\nHost: a\r\n\r\n"]


def number(source, value):
    text = b"%d" % value
    return pick(source, text, [b"0" + text, b"+" + text, b"-" + text, text + b"," + text, text + b", " + text, text + b" ",
                                        b"0x%x" % value, text + b".0", text + b" " + text, text + b",", b"\x0b" + text,
                                        b"%d" % (value + 1), b"%d" % max(0, value - 1), text + b"\0", b"", text + b";a",
                                        b"%d" % (value + (1 << 32)), b"%d" % (value + (1 << 64))])


def size(source, value):
    text = b"%x" % value
    return pick(source, text, [b"0" + text, b"0x" + text, b"+" + text, b"-" + text, text + b" ", b" " + text, text + b"\t",
                                        text + b";a=b", text + b";a=\"b\"", text + b" ;a", text + b";a\rb", text + b";a\nb", text + b";",
                                        text + b"\0", text.upper(), b"0000000000000000" + text, b"1" + b"0" * 15 + text, text + b",", text + b"g",
                                        text + b"_", b"%x" % (value + 1), b"", text + b";a=\"\r\n\"", text + b"\x0b", text + b"\xa0"])


def chunked(source, body):
    def end():
        return pick(source, b"\r\n", [b"\n", b"\r", b"\r\r\n", b"", b"\n\r", b" \r\n", b"\r\n\r\n"])
    out = b""
    while body:
        count = source.randrange(1, len(body) + 1)
        out += size(source, count) + end() + body[:count] + end()
        body = body[count:]
    out += pick(source, b"0", [b"00", b"0 ", b"0;a", b"-0", b"0x0", b"0\t"]) + end()
    for _ in range(source.choice([0, 0, 0, 0, 1, 2])):
        out += pick(source, b"X: a", [b"Content-Length: 3", b"X", b" X: a", b"X : a", b": a", b"X: \0", b"GET / HTTP/1.1"]) + end()
    return out + end()


def head_line(source):
    method = source.choice([b"POST", b"PUT"])
    target = source.choice([b"/echo"] * 8 + [b"http://HOST/echo", b"/echo?a=b"])
    version = pick(source, b"HTTP/1.1", [b"HTTP/1.0", b"HTTP/1.2", b"HTTP/1.1 ", b"HTTP/0.9"])
    return method + b" " + target + b" " + version


def request(source):
    body = source.choice(BODIES)
    kind = pick(source, source.choice(["length", "chunked", "chunked"]), ["both", "both", "neither", "two"])
    fields = [b"Host: HOST"]
    framed = body
    if kind in ("length", "both", "two"):
        fields.append(pick(source, b"Content-Length", NAMES[b"l"]) + b":" + pick(source, b" ", BLANKS) + number(source, len(body)))
    if kind == "two":
        fields.append(b"Content-Length: " + number(source, len(body)))
    if kind in ("chunked", "both"):
        fields.append(pick(source, b"Transfer-Encoding", NAMES[b"e"]) + b":" + pick(source, b" ", BLANKS) +
                      pick(source, b"chunked", CODINGS))
        framed = chunked(source, body)
    for _ in range(source.choice([0, 0, 1])):
        fields.append(pick(source, source.choice([b"X: a", b"X:", b"Connection: keep-alive", b"TE: trailers", b"X: \xff",
                                                  b"Connection: content-length", b"Content-Type: text/plain",
                                                  b"Content-Encoding: chunked", b"Expect: 100-continue"]),
                           [b"X: a\r\n b", b"X : a", b"X", b"X: a\rb", b"X: a\0b", b"X: a\nb", b": a"]))
    source.shuffle(fields)
    out = head_line(source)
    for field in fields:
        out += pick(source, b"\r\n", LINE_ENDS if source.random() < 0.3 else [b"\r\n"]) + field
    return out + b"\r\n" + pick(source, b"\r\n", [b"\n", b"\r", b" \r\n"]) + framed


def spoil(source, data):
    """A byte or two changed, left out or doubled, near what frames the message."""
    data = bytearray(data)
    for _ in range(source.choice([0, 0, 0, 0, 0, 0, 1, 2])):
        at = source.randrange(data.find(b"\n"), len(data))  # the request line's own spelling frames nothing
        how = source.randrange(3)
        if how == 0:
            data[at] = source.choice(b"\r\n\0 \t:;,0159afx-+\x0b\x80\xff")
        elif how == 1:
            del data[at]
        else:
            data.insert(at, source.choice(b"\r\n\0 \t:;,0159afx-+\x0b\x80\xff"))
    return bytes(data)


def sample(source):
    return spoil(source, b"".join(request(source) for _ in range(source.choice([1, 1, 2, 3]))))
