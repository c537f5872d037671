"""Where events may be sent, how they are signed, and that each arrives."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket

import pytest

from mfr.errors import ConfigError, SourceError
from mfr.service.webhooks import Webhook
from tests.service.receiver import receiving

SECRET = "geheimgeheimgeheim"


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("https://93.184.216.34/events?x=1", False),
        ("https://[2606:2800:220:1::1]:8443/", False),
        ("https://10.0.0.7/events", True),
        ("http://127.0.0.1:8000/events", True),
        ("http://[::1]/", True),
    ],
)
def test_addresses_that_are_allowed(url, private):
    Webhook(url, SECRET, private).check()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://10.0.0.7/", "private network"),
        ("https://127.0.0.1/", "private network"),
        ("http://127.0.0.1/", "private network"),
        ("https://169.254.169.254/latest/meta-data", "private network"),
        ("https://100.64.0.1/", "private network"),
        ("https://224.0.0.1/", "private network"),
        ("https://0.0.0.0/", "private network"),
        ("https://2130706433/", "private network"),  # 127.0.0.1 as one number
        ("https://[::ffff:10.0.0.7]/", "private network"),
        ("https://[64:ff9b::10.0.0.7]/", "private network"),
        ("https://[2002:a00:7::]/", "private network"),
        ("https://[fd00::1]/", "private network"),
        ("https://localhost/", "private network"),
        ("http://93.184.216.34/", "not encrypted"),
        ("https://ada:geheim@93.184.216.34/", "password in its address"),
        ("ftp://93.184.216.34/", "no address"),
        ("https:///events", "no address"),
        ("https://x:99999/", "no address"),
        ("https://93.184.216.34/\r\nX: y", "no address"),
    ],
)
def test_addresses_that_are_refused(url, words):
    with pytest.raises(ConfigError, match=words) as caught:
        Webhook(url, SECRET).check()
    assert "geheim" not in str(caught.value)


def test_a_name_that_points_elsewhere_when_it_is_sent_to_is_not_connected_to(monkeypatch):
    hook = Webhook("https://example.org/", SECRET)
    answers = ["93.184.216.34", "10.0.0.7"]

    def look_up(host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers.pop(0), port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    hook.check()
    with pytest.raises(ConfigError, match="private network"):
        hook.send({})


def test_an_event_is_signed_and_no_redirection_is_followed():
    event = {"number": 1, "identity": "Ädä"}
    with receiving(302) as receiver:
        hook = Webhook(receiver.url + "/events?key=geheim", SECRET, private=True)
        with pytest.raises(SourceError, match=r"^http://127\.0\.0\.1 answered 302 ") as caught:
            hook.send(event)
        assert "geheim" not in str(caught.value) and "geheim" not in hook.shown
        hook.send(event)
    assert [path for path, _, _ in receiver.requests] == ["/events?key=geheim"] * 2
    _, headers, body = receiver.requests[1]
    assert json.loads(body) == event and headers["Content-Type"] == "application/json"
    signed = headers["X-MFR-Timestamp"].encode() + b"." + body
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["X-MFR-Signature"] == f"sha256={expected}"


def test_who_cannot_be_reached_is_told():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        hook = Webhook(f"http://127.0.0.1:{unused.getsockname()[1]}/", SECRET, private=True)
        with pytest.raises(SourceError, match="cannot be reached"):
            hook.send({})


def test_a_certificate_that_is_none_is_not_trusted():
    with receiving() as receiver:
        hook = Webhook(receiver.url.replace("http:", "https:"), SECRET, private=True)
        with pytest.raises(SourceError, match="cannot be reached"):
            hook.send({})
    assert not receiver.requests
