"""Events sent to the address that a watch names, signed, and sent again where that fails.

The addresses come from users, who must not reach with them what only this machine can reach: only
public ones are connected to, the address that was looked at is the one that is connected to, and
no redirection is followed.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import json
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from mfr.errors import ConfigError, SourceError

_SECONDS: Final = 10.0
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Webhook:
    """Where events are sent.

    Attributes:
        url: the address.
        secret: by which a receiver knows that an event comes from here.
        private: whether addresses of this machine and of private networks are allowed.
    """

    url: str
    secret: str
    private: bool = False

    @property
    def shown(self) -> str:
        """What may be shown of the address: what follows the host may be secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname or ''}"

    def check(self) -> None:
        """Refuse an address that must not be sent to, as far as can be told by now.

        Raises:
            ConfigError: it is no address, is not encrypted, or leads into a private network.
        """
        parts, port = _split(self.url)
        try:
            self._places(parts, port)
        except OSError:
            return  # the name may be known later; it is looked at each time

    def send(self, event: Mapping[str, Any]) -> None:
        """POST an event as JSON.

        The header X-MFR-Signature is ``sha256=`` and the HMAC-SHA-256, in hexadecimal, of
        X-MFR-Timestamp (seconds since 1970), a full stop and the body; the key is the secret.

        Raises:
            SourceError: it was not taken.
            ConfigError: as `check`.
        """
        parts, port = _split(self.url)
        body = json.dumps(event, allow_nan=False).encode()
        moment = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "mfr",
            "X-MFR-Timestamp": moment,
            "X-MFR-Signature": f"sha256={signature(self.secret, moment, body)}",
        }
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            status = self._post(parts, port, target, body, headers)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise SourceError(
                f"{self.shown} cannot be reached ({reason}): check the webhook's address."
            ) from error
        if not 200 <= status < 300:
            raise SourceError(
                f"{self.shown} answered {status} to an event: let the webhook answer 200."
            )

    def _post(
        self, parts: SplitResult, port: int, target: str, body: bytes, headers: dict[str, str]
    ) -> int:
        place = self._places(parts, port)[0]
        host = str(parts.hostname)
        with socket.create_connection((place, port), timeout=_SECONDS) as plain:
            connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
            if parts.scheme == "https":
                context = ssl.create_default_context()
                connection.sock = context.wrap_socket(plain, server_hostname=host)
            else:
                connection.sock = plain
            try:
                connection.request("POST", target, body, headers)
                return connection.getresponse().status
            finally:
                connection.close()

    def _places(self, parts: SplitResult, port: int) -> list[str]:
        """The addresses that a host has, all of which may be sent to.

        Raises:
            OSError: it has none.
            ConfigError: as `check`.
        """
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        places = [str(each[4][0]) for each in found]
        kinds = [ipaddress.ip_address(place.partition("%")[0]) for place in places]
        if parts.scheme != "https" and not all(kind.is_loopback for kind in kinds):
            raise ConfigError(f"{self.shown} is not encrypted: use an https:// webhook.")
        if not self.private and not all(_is_public(kind) for kind in kinds):
            raise ConfigError(
                f"{self.shown} is an address of this machine or of a private network: use a public "
                "one, or let the administrator allow private webhooks."
            )
        return places


def signature(secret: str, moment: str, body: bytes) -> str:
    """What stands in X-MFR-Signature after ``sha256=``."""
    return hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()


def _split(url: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
        sound = bool(parts.hostname) and url.isascii() and url.isprintable() and " " not in url
    except (ValueError, KeyError):
        sound = False
    if not sound:
        raise ConfigError("The webhook is no address: use one such as https://example.org/events.")
    if parts.username or parts.password:
        raise ConfigError("The webhook has a password in its address: give a secret instead.")
    return parts, port


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return _is_public(inner)
        if address in _TRANSLATED:
            return _is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address.is_global and not address.is_multicast


_TRANSLATED: Final = ipaddress.ip_network("64:ff9b::/96")
"""IPv4 addresses behind a translator (RFC 6052)."""
