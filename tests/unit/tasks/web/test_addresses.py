"""One spelling of a URL, and only public addresses behind it."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from tasks.web.addresses import AddressNotAllowed, AddressPolicy, WebAddress, is_public

PUBLIC = AddressPolicy()


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://Example.COM:443/A", "https://example.com/A"),
        ("https://example.com?x=1", "https://example.com/?x=1"),
        ("https://a-b_c.example.com/x//y/../z", "https://a-b_c.example.com/x//y/../z"),
        ("https://example.com/a b/ü.wav", "https://example.com/a%20b/%C3%BC.wav"),
        ("https://example.com/%2e%2E/100%?a=b%20c&d=[1]", None),
        ("https://example.com/a@b:c", None),
        ("https://8.8.8.8/a", None),
        ("https://[2606:4700:0:0::1111]/a", "https://[2606:4700::1111]/a"),
        ("https://[64:ff9b::808:808]/a", None),
        ("https://xn--bcher-kva.example/a", None),
        ("https://3.example.com/a", None),
    ],
)
def test_an_accepted_url_has_one_spelling(url: str, parsed: str | None) -> None:
    address = PUBLIC.parse(url)
    assert address.url == (parsed or url)
    assert PUBLIC.parse(address.url) == address


def test_a_backslash_in_a_path_is_a_character_like_any_other() -> None:
    assert PUBLIC.parse("https://example.com/a\\b").target == "/a%5Cb"


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("ftp://example.com/", "https://"),
        ("https:example.com", "https://"),
        ("http://example.com/", "over https"),
        ("https://example.com:8443/", "port 443"),
        ("https://user@example.com/", "user name"),
        ("https://example.com/a#b", "#"),
        ("https://example.com/\n", "control character"),
        ("https://bücher.example/", "xn--"),
        ("https://2130706433/", "plain name"),
        ("https://192.168.0.1/", "not a public address"),
        ("https://localhost/", "not a public host"),
        ("https://example.com/" + "a" * 9000, "longer"),
    ],
)
def test_a_refusal_says_why(url: str, word: str) -> None:
    with pytest.raises(AddressNotAllowed, match=word) as refusal:
        PUBLIC.parse(url)
    assert len(refusal.value.message) < 250
    assert "SCRIPTORIUM_TRUSTED_SOURCE_HOSTS" in refusal.value.advice


@pytest.mark.parametrize(
    ("trusted", "url", "accepted"),
    [
        ("minio", "http://minio:9000/a", True),
        ("minio", "http://minio/a", True),
        ("minio", "https://minio/a", True),
        ("minio:9000", "http://minio:9000/a", True),
        ("minio:9000", "http://minio:9001/a", False),
        ("minio:9000", "https://minio/a", False),
        ("minio", "http://minio.example.com/a", False),
        (" 127.0.0.1:80 , Store.Internal ", "http://127.0.0.1/a", True),
        (" 127.0.0.1:80 , Store.Internal ", "https://store.internal/a", True),
        ("::1", "http://[::1]:8000/a", True),
        ("[0:0::1]:8000", "http://[::1]:8000/a", True),
        ("[::1]:8000", "http://[::1]:8001/a", False),
        ("127.0.0.1", "http://127.1/a", False),
        ("minio", "ftp://minio/a", False),
        (",", "http://example.com/a", False),
    ],
)
def test_a_trusted_host_may_be_private_and_without_tls(
    trusted: str, url: str, accepted: bool
) -> None:
    policy = AddressPolicy.of(trusted)
    if accepted:
        assert policy.parse(url).url == url
    else:
        with pytest.raises(AddressNotAllowed):
            policy.parse(url)


def test_a_request_for_another_protocol_is_refused_even_of_a_trusted_host() -> None:
    with pytest.raises(AddressNotAllowed):
        AddressPolicy.of("minio").permit("ws", "minio", 80)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:4700:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::8.8.8.8", True),
        ("64:ff9b::10.0.0.1", False),
        ("64:ff9b:1::8.8.8.8", False),  # a network's own translator
        ("2002:808:808::1", False),  # 6to4: where its tunnel ends is not ours to know
        ("2001:0:808:808::1", False),  # Teredo: the same
        ("::8.8.8.8", False),
        ("100.64.0.1", False),
        ("192.0.0.192", False),
        ("168.63.129.16", False),
        ("224.0.1.1", False),
        ("240.0.0.1", False),
        ("fec0::1", False),
        ("3fff::1", False),
    ],
)
def test_an_address_is_judged_by_what_it_stands_for(address: str, public: bool) -> None:
    assert is_public(ip_address(address)) is public


def test_one_answer_that_is_not_public_spoils_all() -> None:
    assert PUBLIC.check("a.example", 443, ["8.8.8.8", "2606:4700::1111", "8.8.8.8"]) == (
        "8.8.8.8",
        "2606:4700::1111",
    )
    for answers in (["8.8.8.8", "10.0.0.1"], ["8.8.8.8", "fe80::1%eth0"], ["nonsense"], []):
        with pytest.raises(AddressNotAllowed) as refusal:
            PUBLIC.check("a.example", 443, answers)
        assert "10.0.0.1" not in str(refusal.value)  # a client learns no addresses here


def test_a_trusted_host_s_addresses_are_its_operator_s_matter() -> None:
    assert AddressPolicy.of("a.example:8000").check("a.example", 8000, ["10.0.0.1"]) == (
        "10.0.0.1",
    )


def test_the_host_header_has_the_port_where_it_is_not_the_usual_one() -> None:
    assert WebAddress("http", "::1", 8000, "/").netloc == "[::1]:8000"
    assert WebAddress("http", "::1", 80, "/").netloc == "[::1]"
