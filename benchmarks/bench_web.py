"""The web of the download benchmark, in a process of its own: a pool's images on many hosts, and hosts of every bad habit.

Hosts are loopback addresses (127.1.0.0/16 good, 127.2.0.0/16 bad), so that every fetcher finds them without help.
"""

import asyncio
import gzip
import io
import multiprocessing
import struct
import sys
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

IMAGES = 2_000
"""Images of a large pool that are served, the first of its table: more would be no other work, and take minutes to look at."""
HOSTS, COPIES = 250, 8
"""Good hosts, and hosts of each bad habit."""


def pool_images(pool: Path) -> list[bytes]:
    """The distinct images of a pool that this benchmark's peer can decode too (JPEG, PNG, WebP)."""
    rows = pq.read_table(pool / "web.parquet", columns=["member", "status"]).to_pylist()
    members = dict.fromkeys(row["member"] for row in rows if row["member"] and row["status"] == 200)
    archives: dict[str, zipfile.ZipFile] = {}
    bodies = []
    for member in members:
        archive, mark, name = member.partition("!")
        if mark:
            archives.setdefault(archive, zipfile.ZipFile(pool / archive))
        body = archives[archive].read(name) if mark else (pool / member).read_bytes()
        if _whole(body):
            bodies.append(body)
        if len(bodies) == IMAGES:
            break
    return bodies


def _whole(body: bytes) -> bool:
    try:
        Image.open(io.BytesIO(body), formats=("JPEG", "PNG", "WEBP")).convert("RGB")
    except Exception:  # a pool has broken files on purpose
        return False
    return True


def easy_urls(port: int, number: int) -> list[str]:
    return [f"http://127.1.0.{1 + n % HOSTS}:{port}/{n}.jpg" for n in range(number)]


WANTED = ("ok", "moved", "heals", "retry_after", "narrow", "gzip", "drip", "gif", "cmyk", "png16", "webp", "avif")
"""Habits behind which there is an image that may be had."""
HOPELESS = ("html", "truncated", "longer", "endless", "loop", "private", "bomb", "silent", "cut", "gone")
FORBIDDEN = ("robots", "header")
PER_HOST = 4


def hostile_urls(port: int, habits: tuple[str, ...]) -> list[str]:
    all_of = WANTED + HOPELESS + FORBIDDEN
    return [
        f"http://127.2.{1 + copy}.{1 + all_of.index(habit)}:{port}/{habit}/{n}.jpg"
        for habit in habits
        for copy in range(COPIES)
        for n in range(PER_HOST)
    ]


def answer(status: str, body: bytes, *fields: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Content-Type: image/jpeg", *fields]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def encoded(kind: str, mode: str = "RGB", seed: int = 0, **options) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).resize((96, 96)).convert(mode).save(out, kind, **options)
    return out.getvalue()


def animated() -> bytes:
    out = io.BytesIO()
    frames = [Image.new("RGB", (64, 64), (seed * 40, 9, 9)) for seed in range(5)]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    return out.getvalue()


def bomb() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(30_001 * 1000)) for _ in range(30)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


class Web:
    def __init__(self, bodies: list[bytes], latency: float):
        self.latency = latency
        self.good = [answer("200 OK", body) for body in bodies]
        jpeg = encoded("JPEG", quality=90)
        self.jpeg = jpeg
        sixteen = io.BytesIO()
        Image.fromarray((np.arange(64 * 64, dtype=np.uint16) * 16).reshape(64, 64)).save(sixteen, "PNG")
        self.fixed = {
            "ok": answer("200 OK", jpeg), "html": answer("200 OK", b"<!doctype html><p>no"), "gone": answer("404 Not Found", b"no"),
            "truncated": answer("200 OK", jpeg[:-200]), "longer": answer("200 OK", jpeg).replace(b"Length: ", b"Length: 9"),
            "gzip": answer("200 OK", gzip.compress(jpeg), "Content-Encoding: gzip"), "gif": answer("200 OK", animated()),
            "cmyk": answer("200 OK", encoded("JPEG", "CMYK")), "png16": answer("200 OK", sixteen.getvalue()),
            "webp": answer("200 OK", encoded("WEBP")), "avif": answer("200 OK", encoded("AVIF")), "bomb": answer("200 OK", bomb()),
            "header": answer("200 OK", jpeg, "X-Robots-Tag: noai"), "robots": answer("200 OK", jpeg),
            "private": answer("302 Found", b"", "Location: http://10.1.2.3/x.jpg"),
        }  # fmt: skip
        self.first: dict[str, float] = {}
        self.open: Counter[str] = Counter()
        self.steps: Counter[str] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                host = writer.get_extra_info("sockname")[0]
                path = request.split(b" ", 2)[1].decode()
                if self.latency:
                    await asyncio.sleep(self.latency)
                self.open[host] += 1
                try:
                    whole = await self.answer(host, path, writer)
                    await writer.drain()
                finally:
                    self.open[host] -= 1
                if not whole:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, host: str, path: str, writer: asyncio.StreamWriter) -> bool:
        """Writes an answer; False: nothing more on this connection."""
        habit = path.split("/")[1]
        if path.endswith(("robots.txt", "tdmrep.json")):
            forbids = host.endswith(f".{1 + (WANTED + HOPELESS + FORBIDDEN).index('robots')}") and host.startswith(
                "127.2."
            )
            told = b"User-agent: *\nDisallow: /\n" if forbids and path == "/robots.txt" else b""
            writer.write(answer("200 OK" if told else "404 Not Found", told))
        elif host.startswith("127.1."):
            writer.write(self.good[int(path[1:].partition(".")[0]) % len(self.good)])
        elif habit in self.fixed:
            writer.write(self.fixed[habit])
            return habit not in ("longer", "cut")
        else:
            return await getattr(self, habit)(host, path, writer)
        return True

    async def moved(self, host: str, path: str, writer: asyncio.StreamWriter) -> bool:
        hops = path.count("x")
        writer.write(self.fixed["ok"] if hops == 3 else answer("301 Moved", b"", f"Location: {path}x"))
        return True

    async def loop(self, host: str, path: str, writer: asyncio.StreamWriter) -> bool:
        writer.write(answer("302 Found", b"", f"Location: {path}"))
        return True

    async def heals(self, host: str, path: str, writer: asyncio.StreamWriter) -> bool:
        """A restart: 503 for a second after the first request."""
        ill = time.monotonic() - self.first.setdefault(host, time.monotonic()) < 1.0
        writer.write(answer("503 Unavailable", b"") if ill else self.fixed["ok"])
        return True

    async def retry_after(self, host: str, path: str, writer: asyncio.StreamWriter) -> bool:
        """Two requests a second, and says so."""
        self.first.setdefault(host, 0.0)
        now = time.monotonic()
        if now - self.first[host] < 0.5:
            writer.write(answer("429 Too Many Requests", b"", "Retry-After: 1"))
        else:
            self.first[host] = now
            writer.write(self.fixed["ok"])
        return True

    async def narrow(self, host: str, path: str, writer: asyncio.StreamWriter) -> bool:
        """Serves two at a time, and turns others away."""
        if self.open[host] > 2:
            writer.write(answer("503 Unavailable", b""))
            return True
        await asyncio.sleep(0.3)
        writer.write(self.fixed["ok"])
        return True

    async def drip(self, host: str, path: str, writer: asyncio.StreamWriter) -> bool:
        whole = self.fixed["ok"]
        for start in range(0, len(whole), 1 + len(whole) // 15):
            writer.write(whole[start : start + 1 + len(whole) // 15])
            await writer.drain()
            await asyncio.sleep(0.1)
        return True

    async def endless(self, host: str, path: str, writer: asyncio.StreamWriter) -> bool:
        """32 MB, which is endless enough for a fetcher that reads whatever comes."""
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(32):
            writer.write(b"100000\r\n" + bytes(1 << 20) + b"\r\n")
            await writer.drain()
        return False

    async def silent(self, host: str, path: str, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(30)
        return False

    async def cut(self, host: str, path: str, writer: asyncio.StreamWriter) -> bool:
        return False


def _run(pool: Path, latency: float, out) -> None:
    async def main() -> None:
        web = Web(pool_images(pool), latency)
        server = await asyncio.start_server(web.serve, "0.0.0.0", 0, backlog=1024)
        out.send((server.sockets[0].getsockname()[1], len(web.good)))
        await asyncio.Event().wait()

    asyncio.run(main())


@contextmanager
def serving(pool: Path, latency: float = 0.0) -> Iterator[tuple[int, int]]:
    """(port, number of images) while the block runs."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe(duplex=False)
    child = multiprocessing.get_context("spawn").Process(target=_run, args=(pool, latency, theirs), daemon=True)
    child.start()
    try:
        yield ours.recv()
    finally:
        child.terminate()
        child.join()


if __name__ == "__main__":
    _run(Path(sys.argv[1]), 0.0, type("Out", (), {"send": staticmethod(print)}))
