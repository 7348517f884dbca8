"""Archives for the unpack tests: python3 make_archives.py FOLDER"""
import os
import stat
import struct
import sys
import zipfile

folder = sys.argv[1]
body = bytes(range(256)) * 1000


def path(name):
    return os.path.join(folder, name)


with zipfile.ZipFile(path("good.zip"), "w") as z:
    z.writestr("package/", b"")
    z.writestr("package/other.txt", b"other")
    z.writestr(zipfile.ZipInfo("package/stored.bin"), body)
    z.writestr("package/packed.bin", body, zipfile.ZIP_DEFLATED)
    z.writestr("package/empty.bin", b"")
    z.writestr("../outside.bin", b"outside")
    link = zipfile.ZipInfo("package/link.bin")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    z.writestr(link, "/etc/passwd")

with zipfile.ZipFile(path("bomb.zip"), "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
    with z.open("bomb.bin", "w") as member:
        for _ in range(256):
            member.write(bytes(1 << 20))

good = open(path("good.zip"), "rb").read()
at = good.index(b"package/packed.bin") + len("package/packed.bin") + 50
open(path("damaged.zip"), "wb").write(good[:at] + b"XXXXXXXX" + good[at + 8:])
at = good.index(b"package/stored.bin") + len("package/stored.bin") + 50
open(path("wrong-crc.zip"), "wb").write(good[:at] + b"X" + good[at + 1:])
open(path("cut.zip"), "wb").write(good[:len(good) // 2])
open(path("text.zip"), "wb").write(b"this is no archive\n" * 100)
open(path("empty.zip"), "wb").write(b"")
open(path("no-members.zip"), "wb").write(b"PK\5\6" + bytes(18))
# a central directory that claims 65535 members beyond the file's end
open(path("liar.zip"), "wb").write(
    struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 65535, 65535, 0xFFFFFFF0, 0xFFFFFFF0, 0))
