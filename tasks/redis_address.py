"""The address of a Redis: parsed once, and written in the form that each library needs.

redis-py, kombu and Celery's result backend read one URL in three ways: only redis-py knows
`unix://`, only the others know `redis+socket://`, `?db=3` breaks kombu, and a timeout option
that one library reads is an unknown argument in another. So an address is parsed here, and
what not all three support is refused with a hint what to write instead. Pure.

Sources: redis `connection.py` (parse_url), kombu `transport/redis.py` (_connparams), celery
`backends/redis.py` (_params_from_url).
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from redis.connection import URL_QUERY_ARGUMENT_PARSERS

from gpu_worker.errors import InvalidOption

PORT = 6379
_SCHEMES = {"redis": False, "rediss": True, "unix": False, "redis+socket": False}  # with TLS?
_DATABASE = ("db", "virtual_host")  # redis-py's and kombu's name for it
_CERTIFICATES = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}
_FILES = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
_ENCODE = "In a user name or password write / : @ # ? % as %2F %3A %40 %23 %3F %25."
_FORMS = (
    "Write redis://:PASSWORD@HOST:6379/0, rediss://… for TLS, or unix:///run/redis.sock?db=0; "
    f"0 is the number of the database. {_ENCODE}"
)


class RedisUnsupported(InvalidOption):
    """This Redis cannot be used: Scriptorium needs one server, and all of its keys."""

    code = "redis_unsupported"


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """The place of a Redis, its login and TLS options. `repr` and `shown` have no password."""

    host: str = "localhost"
    port: int = PORT
    database: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    socket: str = ""  # path of a Unix socket; then host and port mean nothing
    tls: Mapping[str, Any] = field(default_factory=dict)  # redis-py's options; empty: no TLS

    @classmethod
    def parse(cls, url: str) -> Self:
        """Parse a URL. Raises InvalidOption, whose text has no part that may be a password."""
        url = url.strip()
        try:
            parts = urlsplit(url)
            hosts = parts.netloc.rpartition("@")[2]
            if "," in hosts or ";" in hosts:
                raise _unsupported(
                    "names several hosts", "Name one: Scriptorium knows no cluster mode."
                )
            port = parts.port
        except ValueError:
            raise _refused("has no host and port that can be read") from None
        if parts.scheme not in _SCHEMES:
            raise _wrong_scheme(parts.scheme if "://" in url else "")
        if parts.fragment or url.endswith("#"):
            raise _refused("has a # in it")
        options = _options(parts.query)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if parts.scheme in ("unix", "redis+socket"):
            path = unquote(parts.path)
            if parts.hostname or port or not path.strip("/"):
                raise _refused("names no socket", "Write unix:///run/redis/redis.sock?db=0.")
            if any(name.startswith("ssl_") for name in options):
                raise _refused("asks for TLS over a socket", "Leave the ssl_ options out.")
            number = _database("", options)
            return cls(socket=path, database=number, user=user, password=password)
        is_tls = _SCHEMES[parts.scheme]
        if not is_tls and any(name.startswith("ssl_") for name in options):
            raise _refused("has ssl_ options but is without TLS", "Write rediss:// for TLS.")
        return cls(
            host=unquote(parts.hostname or "localhost"),
            port=PORT if port is None else port,
            database=_database(parts.path, options),
            user=user,
            password=password,
            tls=_tls_options(options) if is_tls else {},
        )

    @property
    def client_url(self) -> str:
        """The URL for redis-py's `Redis.from_url`."""
        if self.socket:
            return f"unix://{self._login}{quote(self.socket)}?db={self.database}"
        if not self.tls:
            return self._network_url
        words = {value: word for word, value in _CERTIFICATES.items()}
        tls = {
            name: str(value).lower() if isinstance(value, bool) else words.get(value, value)
            for name, value in self.tls.items()
        }
        return f"{self._network_url}?{urlencode(tls)}"

    @property
    def celery_url(self) -> str:
        """The URL for kombu and Celery's result backend; TLS is given apart, as `tls`."""
        if self.socket:
            return f"redis+socket://{self._login}{quote(self.socket)}?virtual_host={self.database}"
        return self._network_url

    @property
    def shown(self) -> str:
        """The URL to show to people, without password and user."""
        if self.socket:
            return f"unix://{quote(self.socket)}?db={self.database}"
        return self._network_url.replace(self._login, "***@" if self._login else "", 1)

    @property
    def _network_url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else quote(self.host)
        scheme = "rediss" if self.tls else "redis"
        return f"{scheme}://{self._login}{host}:{self.port}/{self.database}"

    @property
    def _login(self) -> str:
        if not self.user and not self.password:
            return ""
        password = f":{quote(self.password, safe='')}" if self.password else ""
        return f"{quote(self.user, safe='')}{password}@"


def _options(query: str) -> dict[str, str]:
    try:
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError:
        raise _refused("has a ? in it that begins no option=value") from None
    for name in options:
        if name not in (*_DATABASE, "ssl_cert_reqs", "ssl_check_hostname", *_FILES):
            # Other text may be a part of a password.
            shown = f"the option {name}" if name in URL_QUERY_ARGUMENT_PARSERS else "an option"
            raise _refused(
                f"has {shown}, which is not for it",
                f"Leave it out: timeouts and the like are set by Scriptorium. {_ENCODE}",
            )
    return options


def _database(path: str, options: Mapping[str, str]) -> int:
    given = {text for text in (path.strip("/"), *map(options.get, _DATABASE)) if text}
    if len(given) > 1:
        raise _refused("names two databases", "Write one: redis://HOST:6379/0.")
    text = given.pop() if given else "0"
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise _refused("has no number where its database belongs")
    return int(text)


def _tls_options(options: Mapping[str, str]) -> dict[str, Any]:
    """Return redis-py's TLS options; certificates are checked unless the URL says otherwise."""
    text = options.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
    if text not in _CERTIFICATES:
        raise _refused("has an unknown ssl_cert_reqs", "Write required, optional or none.")
    tls: dict[str, Any] = {"ssl_cert_reqs": _CERTIFICATES[text]}
    checks = options.get("ssl_check_hostname")
    if checks is not None:
        if checks.lower() not in ("true", "false"):
            raise _refused("has an unknown ssl_check_hostname", "Write true or false.")
        tls["ssl_check_hostname"] = checks.lower() == "true"
    return tls | {name: options[name] for name in _FILES if options.get(name)}


def _wrong_scheme(scheme: str) -> InvalidOption:
    if scheme.startswith(("amqp", "pyamqp")):
        return InvalidOption(
            "REDIS_URL or CELERY_BROKER_URL names a RabbitMQ, but must name a Redis.",
            hint="Set SCRIPTORIUM_BROKER_URL to the RabbitMQ, and REDIS_URL to a Redis: leases "
            "and results are kept there in any case.",
        )
    if "sentinel" in scheme:
        return _unsupported(
            "is one of Sentinel, which is not supported",
            "Name the server itself, or an address that follows the master.",
        )
    return _refused("does not begin with redis://, rediss:// or unix://")


def _unsupported(what: str, hint: str) -> RedisUnsupported:
    return RedisUnsupported(f"The address of Redis (REDIS_URL) {what}.", hint=hint)


def _refused(what: str, hint: str = _FORMS) -> InvalidOption:
    return InvalidOption(f"The address of Redis (REDIS_URL) {what}.", hint=hint)
