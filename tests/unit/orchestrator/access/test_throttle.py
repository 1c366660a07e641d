"""How many wrong keys one address may send."""

from __future__ import annotations

import pytest

from orchestrator.access import throttle
from orchestrator.access.peers import peer_of, plain_address
from orchestrator.access.throttle import WrongKeys


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_after_too_many_wrong_keys_an_address_waits_a_minute() -> None:
    clock = Clock()
    wrong = WrongKeys(3, clock)
    for _ in range(3):
        assert not wrong.refuses("192.0.2.1", "key")
        wrong.count_wrong("192.0.2.1")
    assert wrong.refuses("192.0.2.1", "key")
    assert not wrong.refuses("192.0.2.2", "key")
    clock.now += throttle.WINDOW_SECONDS
    assert not wrong.refuses("192.0.2.1", "key")


def test_a_good_key_of_the_same_address_goes_on() -> None:
    wrong = WrongKeys(1)
    wrong.note_good("192.0.2.1", "good")
    wrong.count_wrong("192.0.2.1")
    assert wrong.refuses("192.0.2.1", "a guess") and not wrong.refuses("192.0.2.1", "good")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "", "testclient", "::ffff:127.0.0.1"])
def test_programs_of_this_machine_have_no_bound(host: str) -> None:
    wrong = WrongKeys(1)
    wrong.count_wrong(host)
    assert not wrong.refuses(host, "key")


def test_zero_is_without_bound() -> None:
    wrong = WrongKeys(0)
    wrong.count_wrong("192.0.2.1")
    assert not wrong.refuses("192.0.2.1", "key")


def test_many_addresses_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "MOST_PEERS", 10)
    monkeypatch.setattr(throttle, "MOST_GOOD", 10)
    wrong = WrongKeys(1)
    for number in range(100):
        wrong.count_wrong(f"192.0.2.{number}")
        wrong.note_good("192.0.2.99", str(number))
    assert len(wrong._peers) <= 10 and len(wrong._peers["192.0.2.99"].good) == 10


def test_an_ipv6_customer_is_one_peer() -> None:
    assert peer_of("2001:db8:1:2::7") == peer_of("2001:db8:1:2:9::9%eth0") == "2001:db8:1:2::/64"
    assert peer_of("2001:db8:1:3::7") != peer_of("2001:db8:1:2::7")
    assert peer_of("::ffff:192.0.2.1") == peer_of("192.0.2.1") == "192.0.2.1"
    assert peer_of("127.0.0.2") == "127.0.0.2"


@pytest.mark.parametrize(
    ("host", "plain"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:c000:201", "::ffff:c000:201"),  # no kernel shows it so
        ("", ""),
    ],
)
def test_an_address_of_ipv4_is_shown_as_such(host: str, plain: str) -> None:
    assert plain_address(host) == plain
