"""DNS as an attacker has it: the names of `tests/attempts.py` lead where the list says."""

from __future__ import annotations

import socket
from typing import Any

from tests.attempts import NAMES

_look_up = socket.getaddrinfo


def _answer(host: Any, port: Any, *rest: Any, **options: Any) -> list[Any]:
    if host not in NAMES:
        return _look_up(host, port, *rest, **options)
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (found, port)) for found in NAMES[host]]


socket.getaddrinfo = _answer
