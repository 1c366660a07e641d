"""The download of a file from a web address, with bounds on time and size.

`tasks/web/addresses.py` decides which addresses are allowed and `tasks/web/outbound.py` enforces
it; here an answer becomes a file or an error. Answers are not decompressed, so a small answer
cannot become a large file.
"""

from __future__ import annotations

import ssl
from pathlib import Path

import httpcore

from gpu_worker.errors import AudioOutOfBounds, SourceMissing, SourceTooSlow, SourceUnavailable
from tasks.artifacts.disk import arriving
from tasks.web.addresses import AddressNotAllowed, AddressPolicy, WebAddress
from tasks.web.outbound import (
    USER_AGENT,
    HostUnknown,
    RequestTooLong,
    Resolve,
    guarded_pool,
    location,
    look_up,
)

CONNECT_SECONDS = 10.0
SILENT_SECONDS = 30.0  # without a single byte
DOWNLOAD_SECONDS = 3000.0  # in all; less than the deadline of `prepare`
_PASSING = {408, 425, 429}  # below 500, but temporary
_FAULTS = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError)


def download(
    url: str,
    path: Path,
    policy: AddressPolicy,
    *,
    max_bytes: int,
    total_seconds: float = DOWNLOAD_SECONDS,
    silent_seconds: float = SILENT_SECONDS,
    resolve: Resolve = look_up,
    ssl_context: ssl.SSLContext | None = None,
) -> None:
    """Stream the URL's answer to `path`; on failure there is no such file.

    Raises AddressNotAllowed (a redirect is one), SourceMissing, SourceTooSlow,
    AudioOutOfBounds, SourceUnavailable, or DiskFull.
    """
    address = policy.parse(url)
    pool = guarded_pool(
        policy,
        connect_seconds=CONNECT_SECONDS,
        read_seconds=silent_seconds,
        total_seconds=total_seconds,
        resolve=resolve,
        ssl_context=ssl_context,
    )
    with pool, arriving(path) as file:
        try:
            with pool.stream("GET", location(address), headers=_headers(address)) as answer:
                _check(answer, address, max_bytes)
                size = 0
                for piece in answer.iter_stream():
                    size += len(piece)
                    if size > max_bytes:
                        raise AudioOutOfBounds(f"The file has more than {max_bytes} bytes.")
                    file.write(piece)
        except HostUnknown as error:
            raise SourceMissing(f"There is no host named {address.host!r}.") from error
        except RequestTooLong as error:
            raise SourceTooSlow(
                f"{address.host!r} did not send the file within {total_seconds:g} s."
            ) from error
        except _FAULTS as error:
            reason = str(error) or type(error).__name__
            raise SourceUnavailable(f"{address.host!r} cannot be read now: {reason}.") from error


def _headers(address: WebAddress) -> list[tuple[str, str]]:
    return [
        ("Host", address.netloc),
        ("User-Agent", USER_AGENT),
        ("Accept", "*/*"),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
    ]


def _check(answer: httpcore.Response, address: WebAddress, max_bytes: int) -> None:
    status = answer.status
    if 300 <= status < 400:
        raise AddressNotAllowed(
            f"{address.host!r} answers with a redirect ({status}), and those are not followed.",
            hint="Give the address that it leads to, or upload the file.",
        )
    if status >= 500 or status in _PASSING:
        raise SourceUnavailable(f"{address.host!r} answers {status}.")
    if status != 200:
        raise SourceMissing(f"{address.host!r} answers {status} instead of the file.")
    length = {name.lower(): value for name, value in answer.headers}.get(b"content-length")
    if length is not None and int(length) > max_bytes:
        raise AudioOutOfBounds(f"The file has {int(length)} bytes, more than are accepted.")
