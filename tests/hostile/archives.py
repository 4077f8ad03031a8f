"""Source archives as an attacker makes them, block by block: no tar library would write most of these."""
import gzip
import io
import struct
import zipfile
import zlib

HANDLER = b"def handle(ctx, payload):\n    return 'fine'\n"
BLOCK = 512


def octal(value, width):
    if 0 <= value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    return (value & ((1 << 8 * width) - 1) | 1 << (8 * width - 1)).to_bytes(width, "big")  # GNU's base 256


def header(name, size=0, kind=b"0", link=b"", mode=0o644, mtime=0, magic=b"ustar\x0000", prefix=b"", device=(0, 0), checksum=None,
           size_field=None):
    """One header block; size_field and checksum replace what would be right."""
    block = (name[:100].ljust(100, b"\0") + octal(mode, 8) + octal(0, 8) + octal(0, 8) + (size_field or octal(size, 12)) +
             octal(mtime, 12) + b" " * 8 + kind + link[:100].ljust(100, b"\0") + magic + b"\0" * 32 + b"\0" * 32 + octal(device[0], 8) +
             octal(device[1], 8) + prefix.ljust(155, b"\0")).ljust(BLOCK, b"\0")
    total = sum(block) if checksum is None else checksum
    return block[:148] + b"%06o\0 " % total + block[156:]


def padded(data):
    return data + b"\0" * (-len(data) % BLOCK)


def file(name, data=HANDLER, **more):
    name = name if isinstance(name, bytes) else name.encode()
    return header(name, len(data), **more) + padded(data)


def folder(name, **more):
    return header(name.encode() + b"/", kind=b"5", mode=0o755, **more)


def symlink(name, target):
    return header(name.encode(), kind=b"2", link=target.encode())


def hardlink(name, target):
    return header(name.encode(), kind=b"1", link=target.encode())


def pax(records, kind=b"x"):
    """A pax header of {key: value}, whose records carry their own length."""
    text = b""
    for key, value in records.items():
        body = b" " + key.encode() + b"=" + (value if isinstance(value, bytes) else value.encode()) + b"\n"
        size = len(body)
        while len(b"%d" % size) + len(body) != size:
            size = len(b"%d" % size) + len(body)
        text += b"%d" % size + body
    return header(b"PaxHeaders/x", len(text), kind=kind) + padded(text)


def gnu_long(name, kind=b"L"):
    return header(b"././@LongLink", len(name) + 1, kind=kind, magic=b"ustar  \0") + padded(name + b"\0")


END = b"\0" * (2 * BLOCK)


def gz(data, level=6):
    return gzip.compress(data, level, mtime=0)


def tgz(*members):
    return gz(b"".join(members) + END)


def good(*members):
    """An archive with a handler that works, and something else."""
    return tgz(file("handler.py"), *members)


def zeros(count):
    """A gzip stream of so many zeros that never lies in memory whole."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    out, piece = [], b"\0" * (1 << 20)
    for _ in range(count >> 20):
        out.append(packer.compress(piece))
    return b"".join([*out, packer.flush()])


def bomb(count):
    """A member of so many zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    out, piece = [packer.compress(file("handler.py") + header(b"big", count))], b"\0" * (1 << 20)
    for _ in range(count >> 20):
        out.append(packer.compress(piece))
    return b"".join([*out, packer.compress(END), packer.flush()])


def sparse(size):
    """GNU's old sparse member: one byte stored, `size` claimed."""
    block = bytearray(header(b"sparse", 1, kind=b"S", magic=b"ustar  \0"))
    block[386:410] = octal(size - 1, 12) + octal(1, 12)
    block[483:495] = octal(size, 12)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + padded(b"x")


def many(count):
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    out = [packer.compress(file("handler.py"))]
    out += [packer.compress(header(b"f%d" % number)) for number in range(count)]
    return b"".join([*out, packer.compress(END), packer.flush()])


def zipped(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def zip_bomb(mib):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("handler.py", HANDLER)
        with archive.open("big", "w") as member:
            for _ in range(mib):
                member.write(b"\0" * (1 << 20))
    return stream.getvalue()


def wrong_crc():
    data = bytearray(good())
    data[-8] ^= 0xff
    return bytes(data)


def wrong_length():
    data = bytearray(good())
    data[-1] ^= 0x40
    return bytes(data)


def cpio():
    name = b"handler.py\0"
    head = b"070701" + b"%08x" * 13 % (1, 0o100644, 0, 0, 1, 0, len(HANDLER), 0, 0, 0, 0, len(name), 0)
    out = head + name
    out += b"\0" * (-len(out) % 4) + HANDLER
    out += b"\0" * (-len(out) % 4)
    return out + b"070701" + b"%08x" * 13 % (0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 11, 0) + b"TRAILER!!!\0\0\0\0"


def ar():
    return b"!<arch>\n" + b"%-16s%-12d%-6d%-6d%-8o%-10d`\n" % (b"handler.py/", 0, 0, 0, 0o100644, len(HANDLER)) + HANDLER


# name: (archive, what the function's status says). None: it is READY. Else a pattern of its reason, in ERROR.
def cases():
    far = "/".join(["d"] * 200)
    return {
        "plain": (good(), None),
        "plain tar without gzip": (file("handler.py") + END, None),
        "./x": (tgz(file("./handler.py")), None),
        ".//x": (tgz(file(".//handler.py")), None),
        "folder of all": (tgz(folder("."), file("./handler.py")), None),
        "no end of archive": (gz(file("handler.py")), None),
        "no end and no padding": (gz(header(b"handler.py", len(HANDLER)) + HANDLER), None),
        "names with a prefix field": (good(header(b"b", 0, prefix=b"a")), None),
        "two members of a name: the last counts": (tgz(file("handler.py", b"syntax error"), file("handler.py")), None),
        "names that differ in case": (good(file("Readme", b"1"), file("README", b"2"), file("readme", b"3")), None),
        "names that differ in Unicode's form": (good(file("\u00e9", b"1"), file("e\u0301", b"2")), None),
        "a name that is no UTF-8": (good(file(b"\xff\xfe", b"1")), None),
        "a name with control characters": (good(file("a\nb\x1b[31m", b"1")), None),
        "a link inside": (good(symlink("again.txt", "handler.py")), None),
        "a link to nothing": (good(symlink("gone", "nowhere")), None),
        "a link to itself": (good(symlink("me", "me")), None),
        "a hard link inside": (good(hardlink("again.txt", "handler.py")), None),
        "setuid and sticky bits are dropped": (tgz(file("handler.py", mode=0o7777)), None),
        "extended attributes are dropped": (tgz(pax({"SCHILY.xattr.security.capability": b"\1\0\0\2\xff\xff\xff\xff" + b"\0" * 12,
                                                     "SCHILY.xattr.user.a": "b"}), file("handler.py")), None),
        "access lists are dropped": (tgz(pax({"SCHILY.acl.access": "user::rwx,user:0:rwx,group::rwx,mask::rwx,other::rwx"}),
                                         file("handler.py")), None),
        "times before 1970": (tgz(file("handler.py", mtime=-1)), None),
        "times far away": (tgz(file("handler.py", mtime=1 << 60)), None),
        "gzip in two members": (gz(file("handler.py")) + gz(file("other", b"1") + END), None),
        "an executable bit": (good(file("tool", b"#!/bin/sh\n", mode=0o755)), None),
        "behind the end of the archive nothing counts": (gz(file("handler.py") + END + file("../escaped", b"x") + END), None),
        "..": (good(file("../escaped", b"x")), r"'\.\./escaped'.*'\.\.'"),
        ".. in the middle": (good(file("a/../../escaped", b"x")), r"'\.\.'"),
        ".. at the end": (good(folder("a/..")), r"'\.\.'"),
        ".. in a pax name": (good(pax({"path": "../escaped"}), file("x", b"x")), r"'\.\.'"),
        ".. in a GNU name": (good(gnu_long(b"../escaped"), file("x", b"x")), r"'\.\.'"),
        ".. in the prefix field": (good(header(b"escaped", 0, prefix=b"..")), r"'\.\.'"),
        "an absolute path": (good(file("/tmp/dispatch-escaped", b"x")), "absolute"),
        "an absolute path with two slashes": (good(file("//tmp/dispatch-escaped", b"x")), "absolute"),
        "an absolute link": (good(symlink("out", "/etc")), "outside"),
        "a link out": (good(symlink("out", "../../../etc/passwd")), "outside"),
        "a link out through another": (good(folder("a"), symlink("a/b", ".."), symlink("c", "a/b/../../etc")), "outside"),
        "written through a link": (good(symlink("out", "/tmp"), file("out/dispatch-escaped", b"x")), "outside"),
        "written through a link inside": (good(folder("d"), symlink("in", "d"), file("in/x", b"x")), "through the link 'in'"),
        "written through a link to ..": (good(symlink("up", ".."), file("up/escaped", b"x")), "through the link 'up'"),
        "a file in place of a link is not written through it": (tgz(symlink("handler.py", "../escaped"), file("handler.py")), None),
        "a hard link out": (good(hardlink("out", "../../etc/passwd")), r"'\.\.'"),
        "a hard link to an absolute path": (good(hardlink("out", "/etc/passwd")), "absolute"),
        "a hard link through a link": (good(symlink("e", ".."), hardlink("out", "e/dispatch.sock")), "no earlier file"),
        "a hard link to a link": (good(symlink("e", "handler.py"), hardlink("out", "e")), "not a file"),
        "a hard link to what is not there": (good(hardlink("out", "none")), "no earlier file"),
        "a hard link to a folder": (good(folder("d"), hardlink("out", "d")), "not a file"),
        "a character device": (good(header(b"null", kind=b"3", device=(1, 3))), "a device"),
        "a block device": (good(header(b"sda", kind=b"4", device=(8, 0))), "a device"),
        "a named pipe": (good(header(b"pipe", kind=b"6")), "a named pipe"),
        "a file, then a folder of its name": (good(file("a", b"x"), folder("a")), "not a folder"),
        "a folder, then a file of its name": (good(folder("a"), file("a", b"x")), "a folder has this name"),
        "a file below a file": (good(file("a", b"x"), file("a/b", b"x")), "not a folder"),
        "a name of 70,000 bytes, pax": (good(pax({"path": "n" * 70000}), file("x", b"x")), "longer than"),
        "a name of 70,000 bytes, GNU": (good(gnu_long(b"n" * 70000), file("x", b"x")), "longer than"),
        "a path of 70,000 bytes in short names": (good(pax({"path": "/".join(["n" * 99] * 700)}), file("x", b"x")), "longer than|deep"),
        "a link's target of 70,000 bytes": (good(pax({"linkpath": "n" * 70000}), symlink("x", "x")), "too long"),
        "200 folders deep": (good(pax({"path": far}), file("x", b"x")), "deep"),
        "a name with NUL in pax": (good(pax({"path": b"a\0/../../escaped"}), file("x", b"x")), None),
        "an empty name": (good(header(b"", 0)), "without a name|damaged"),
        "the name . for a file": (good(file(".", b"x")), "only a folder"),
        "a gigabyte of zeros": (bomb(1 << 30), "more than"),
        "a gigabyte of zeros behind the end": (gz(file("handler.py") + END) + zeros(1 << 30), "more than"),
        "a sparse gigabyte": (good(sparse(1 << 30)), "more than|damaged"),
        "a sparse exabyte": (good(sparse(1 << 60)), "more than|damaged"),
        "a size of 8 exabytes": (good(header(b"x", 0, size_field=octal((1 << 63) - 1, 12))), "more than|damaged|cut off"),
        "a negative size": (good(header(b"x", 0, size_field=octal(-1, 12))), "damaged|more than"),
        "a size that is no number is 0": (good(header(b"x", 0, size_field=b"zzzzzzzzzzz\0")), None),
        "100,000 entries": (many(100000), "more than [0-9]+ files"),
        "nested gzip": (gz(good()), "not a tar"),
        "nothing": (b"", None),
        "nothing in gzip": (gz(b""), "empty"),
        "nothing but the end": (gz(END), "empty"),
        "nothing but a folder of all": (tgz(folder(".")), "empty"),
        "cut off in a member": (gz(header(b"handler.py", 5000) + HANDLER), "cut off|damaged"),
        "cut off in a header": (gz(file("handler.py") + header(b"x")[:300]), "damaged|cut off"),
        "gzip cut off": (good(file("pad", bytes(range(256)) * 64))[:-40], "damaged|cut off|truncated"),
        "gzip without its trailer": (good()[:-8], "damaged|cut off|truncated"),
        "gzip with a wrong checksum": (wrong_crc(), "damaged|checksum"),
        "gzip with a wrong length": (wrong_length(), "damaged|length"),
        "garbage behind gzip": (good() + b"garbage", "damaged|behind"),
        "a header with a wrong checksum": (good(header(b"x", checksum=1)), "damaged"),
        "the first header with a wrong checksum": (tgz(header(b"x", checksum=1)), "damaged"),
        "random bytes": (bytes((at * 7919 + at * at) % 251 for at in range(5000)), "damaged|not a tar"),
        "text": (b"print('hello')\n" * 100, "not a tar"),
        "zip": (zipped({"handler.py": HANDLER}), None),
        "zip with ..": (zipped({"handler.py": HANDLER, "../escaped": b"x"}), r"'\.\.'"),
        "zip with an absolute path": (zipped({"handler.py": HANDLER, "/tmp/dispatch-escaped": b"x"}), "absolute"),
        "zip bomb": (zip_bomb(600), "more than"),
        "zip cut off": (zipped({"handler.py": HANDLER})[:60], "damaged|not a tar"),
        "cpio": (cpio(), "not a tar"),
        "ar": (ar(), "not a tar"),
        "7z": (b"7z\xbc\xaf\x27\x1c\0\4" + b"\0" * 600, "not a tar"),
        "rar": (b"Rar!\x1a\7\0" + b"\0" * 600, "not a tar"),
        "rar 5": (b"Rar!\x1a\7\1\0" + b"\0" * 600, "not a tar"),
        "iso": (b"\0" * 32768 + b"\1CD001\1\0" + b"\0" * 8000, "not a tar|empty|damaged"),
        "mtree": (b"#mtree\n./escaped type=file contents=/etc/passwd\n", "not a tar"),
        "shar": (b"#!/bin/sh\n# This is a shell archive\ntouch /tmp/dispatch-escaped\n" * 20, "not a tar"),
        "xar": (b"xar!" + struct.pack(">HHQQI", 28, 1, 0, 0, 1) + b"\0" * 600, "not a tar"),
        "bzip2": (b"BZh91AY&SY" + b"\0" * 600, "not a tar"),
        "xz": (b"\xfd7zXZ\0" + b"\0" * 600, "not a tar"),
        "zstd": (b"\x28\xb5\x2f\xfd" + b"\0" * 600, "not a tar"),
        "compress": (b"\x1f\x9d\x90" + b"\0" * 600, "not a tar"),
        "lz4": (b"\x04\x22\x4d\x18" + b"\0" * 600, "not a tar"),
        "uuencode": (b"begin 644 handler.tgz\n" + b"M" * 61 + b"\nend\n", "not a tar"),
        "rpm": (b"\xed\xab\xee\xdb\3\0" + b"\0" * 600, "not a tar"),
    }
