"""Small files that stand for large ones, and web servers that never come to an end."""

import gzip
import struct
import time
import zlib

from tests.web import QuietHandler


def png(width: int, height: int) -> bytes:
    """Return a whole grey PNG whose rows are all there, but compressed a thousandfold."""
    packer = zlib.compressobj(9)
    row = bytes(width + 1)
    packed = b"".join(packer.compress(row) for _ in range(min(height, 1000))) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def gif(frames: int) -> bytes:
    """Return a GIF of so many frames of one pixel."""
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    screen = struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    return b"GIF89a" + screen + frame * frames + b"\x3b"


def tiff(side: int, tile: int) -> bytes:
    """Return a small TIFF that claims tiles of `tile` pixels a side."""
    tags = [(256, side), (257, side), (258, 8), (259, 5), (262, 1), (277, 1)]
    tags += [(322, tile), (323, tile), (324, 8), (325, 100)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 108) + bytes(100) + directory


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


class Trap(QuietHandler):
    """A web server that drips, floods or unpacks to more than it says."""

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        """Begin an answer, and go on as the path says until the client hangs up."""
        self.send_response(200)
        if self.path == "/gzip":
            packed = gzip.compress(bytes(100 * 2**20))
            self.send_header("content-encoding", "gzip")
            self.send_header("content-length", str(len(packed)))
            self.end_headers()
            self._write(packed)
            return
        self.end_headers()
        part, pause = (b"x", 0.05) if self.path == "/drip" else (bytes(65536), 0.0)
        while self._write(part):
            time.sleep(pause)

    def _write(self, data: bytes) -> bool:
        try:
            self.wfile.write(data)
        except OSError:
            return False
        return True
