"""Hostile connections to one port of this machine, for `benchmarks.cluster.hostile_connections`.

    python -m benchmarks.cluster.attackers PORT CONNECTIONS

Each does one of seven things until it is closed, and is opened again a second later.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
from collections import Counter
from contextlib import suppress

AGAIN_SECONDS = 1.0  # until a connection is opened again
ADDRESSES = 20  # that the connections come from
LARGE_HEADER = 4 << 20  # bytes that one connection tries to send
Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


async def attack(port: int, kind: int, closed: Counter[str]) -> None:
    """Open one hostile connection after the other."""
    ways = (slow_head, large_header, slow_body, slow_log_in, silence, wrong_keys, many_at_once)
    way = ways[kind % len(ways)]
    while True:
        with suppress(OSError, asyncio.IncompleteReadError):
            source = f"127.0.0.{2 + kind % ADDRESSES}"
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, local_addr=(source, 0)
            )
            try:
                await way(reader, writer)
            finally:
                writer.transport.abort()
        closed[way.__name__] += 1
        await asyncio.sleep(AGAIN_SECONDS)


async def slow_head(reader: Reader, writer: Writer) -> None:
    """Send a header without end, a byte a second."""
    await drip(reader, writer, b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nA: ")


async def slow_body(reader: Reader, writer: Writer) -> None:
    """Send a body without a key, a byte a second."""
    await drip(reader, writer, posted("/v1/uploads"))


async def slow_log_in(reader: Reader, writer: Writer) -> None:
    """Send the body of a log-in, a byte a second."""
    await drip(reader, writer, posted("/v1/session"))


async def silence(reader: Reader, writer: Writer) -> None:
    """Send nothing."""
    await reader.read(1)


async def large_header(reader: Reader, writer: Writer) -> None:
    """Send a large header as fast as it is taken."""
    writer.write(b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nA: ")
    for _ in range(LARGE_HEADER // 65536):
        writer.write(b"a" * 65536)
        await writer.drain()
    await reader.read(1)


async def wrong_keys(reader: Reader, writer: Writer) -> None:
    """Try a made-up key each second."""
    while True:
        key = b"scr_" + secrets.token_urlsafe(32).encode()
        writer.write(b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nX-API-Key: " + key + b"\r\n\r\n")
        await writer.drain()
        await reader.readuntil(b"}}")
        await asyncio.sleep(1)


async def many_at_once(reader: Reader, writer: Writer) -> None:
    """Send many requests and read no reply."""
    writer.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n" * 500)
    await writer.drain()
    await asyncio.sleep(5)
    await reader.read(1)


async def drip(reader: Reader, writer: Writer, head: bytes) -> None:
    """Send this, and then a byte a second, until the server closes the connection."""
    writer.write(head)
    while not reader.at_eof():
        writer.write(b"a")
        await writer.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await reader.read(65536)


def posted(path: str) -> bytes:
    """Return the head of a request with a JSON body of 1,000 bytes."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        "Content-Length: 1000\r\n\r\n"
    ).encode()


async def hostile(port: int, connections: int) -> None:
    """Keep so many hostile connections open until SIGTERM; then print how often each was closed."""
    closed: Counter[str] = Counter()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    tasks = [asyncio.create_task(attack(port, number, closed)) for number in range(connections)]
    await stop.wait()
    for task in tasks:
        task.cancel()
    print(json.dumps(closed))


if __name__ == "__main__":
    os.nice(19)  # they stand for other machines, and are to leave this one's cores to the API
    asyncio.run(hostile(int(sys.argv[1]), int(sys.argv[2])))
