"""Addresses: which count as one place, and which proxies are believed."""

import pytest

from ravada_web import addresses
from ravada_web.config import Settings, read_settings
from ravada_web.errors import CannotRun


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:201", "192.0.2.1"),
        ("2001:db8:1:2:aaaa:bbbb:cccc:dddd", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_what_counts_as_one_place(address: str, place: str) -> None:
    assert addresses.counted(address) == place


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "client"),
    [
        (["10.0.0.0/8"], "10.1.2.3", "203.0.113.7", "203.0.113.7"),
        (["10.0.0.0/8"], "10.1.2.3", "198.51.100.1, 203.0.113.7, 10.9.9.9", "203.0.113.7"),
        (["10.0.0.0/8"], "11.0.0.1", "203.0.113.7", "11.0.0.1"),
        (["10.0.0.0/8"], "::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"),
        (["::ffff:127.0.0.1"], "127.0.0.1", "203.0.113.7", "203.0.113.7"),
        (["::ffff:127.0.0.1"], "::ffff:127.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"),
        (["::ffff:10.0.0.0/104"], "10.7.0.1", "2001:db8::7", "2001:db8::7"),
        (["2001:db8::/32"], "2001:db8:5::1", "203.0.113.7", "203.0.113.7"),
        (["127.0.0.1"], "127.0.0.1", "", "127.0.0.1"),
        (["127.0.0.1"], "127.0.0.1", "203.0.113.7, unknown", "127.0.0.1"),
        (["10.0.0.0/8"], "10.0.0.1", "10.0.0.9", "10.0.0.9"),
        ([], "127.0.0.1", "203.0.113.7", "127.0.0.1"),
    ],
)
def test_whose_word_is_believed(proxies: list[str], peer: str, forwarded: str, client: str) -> None:
    assert addresses.client(peer, forwarded, Settings(trusted_proxies=proxies).proxies) == client


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('["10.0.0.1/8"]', "bits set beyond its prefix; the network is 10.0.0.0/8"),
        ('["127.0.0.1", "::ffff:10.0.0.1/104"]', "bits set"),
        ('["proxy.example.org"]', "proxy.example.org is neither"),
        ('["localhost"]', "localhost is neither"),
        ('["127.0.0.1:8080"]', "neither"),
        ('["10.0.0.0/33"]', "neither"),
        ('["010.0.0.1"]', "neither"),
        ('[""]', "an empty text"),
        ('[" "]', "an empty text"),
        ("", "not JSON"),
        ("127.0.0.1", "not JSON"),
        ('["fe80::1%eth0"]', "zone"),
        ('["0.0.0.0"]', "nothing connects"),
        ('["::"]', "nothing connects"),
        ('["::ffff:0.0.0.0"]', "nothing connects"),
        ('["224.0.0.0/4"]', "nothing connects"),
        ('["255.255.255.255"]', "nothing connects"),
    ],
)
def test_a_proxy_that_nothing_can_match_stops_the_start(monkeypatch: pytest.MonkeyPatch, value: str, said: str) -> None:
    monkeypatch.setenv("RAVADA_TRUSTED_PROXIES", value)
    with pytest.raises(CannotRun) as refused:
        read_settings()
    assert said in str(refused.value) and str(refused.value).startswith("The setting RAVADA_TRUSTED_PROXIES is wrong")
