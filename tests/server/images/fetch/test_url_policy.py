"""Refused URLs, in every notation, and the effect of each setting."""

# ruff: noqa: RUF001

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.images.fetch.errors import FetchError, UrlForbidden, UrlInvalid
from server.images.fetch.url_policy import METADATA_HOSTS, UrlPolicy


def expect_error(url: str, **options: Any) -> type[FetchError]:
    """Return the type of a policy's error; its message does not quote the URL."""
    with pytest.raises(FetchError) as caught:
        UrlPolicy(**options).check(url)
    assert "127" not in caught.value.args[0]
    return type(caught.value)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://example.org", "example.org"),
        ("HTTPS://EXAMPLE.org/a%20b?c=%5C&d=@#e", "example.org"),
        ("https://example.org:443/cat.png", "example.org"),
        ("http://example.org:443/", "example.org"),
        ("http://example.org?x", "example.org"),
        ("http://example.org/a@b:c", "example.org"),
        ("https://bücher.example/ü.png", "xn--bcher-kva.example"),
        ("https://BÜCHER.example/", "xn--bcher-kva.example"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example"),
        ("https://例え.テスト/", "xn--r8jz45g.xn--zckzah"),
        ("http://93.184.215.14/", "93.184.215.14"),
        ("http://[2606:2800:21f::1]/", "2606:2800:21f::1"),
        ("http://[2606:2800:21f:0::1]:80/", "2606:2800:21f:0::1"),
        ("http://a_b.example.org/", "a_b.example.org"),
        ("http://1.example/", "1.example"),
        ("http://127.0.0.1/", "127.0.0.1"),  # addresses are checked elsewhere
    ],
)
def test_allowed(url: str, host: str) -> None:
    assert UrlPolicy().check(url).raw_host == host.encode()


@pytest.mark.parametrize(
    "host",
    [
        *["127.1", "127.0.1", "0", "1", "2130706433", "017700000001", "0x7f000001", "0X7F000001"],
        *["0177.0.0.1", "127.0.0.01", "0x7f.0.0.1", "127.0.0.0x1", "0x7f.1", "127.0.0.0x", "1.2.3"],
        *["127.0.0.256", "1.2.3.4.5", "example.1", "example.0x1", "00.0.0.0", "08.8.8.8"],
        *["example.org.", "127.0.0.1.", "localhost."],
        *["127%2e0%2e0%2e1", "%6cocalhost", "example.org%00.net", "exa%6dple.org", "%31"],
        *["127。0。0。1", "127．0．0．1", "127｡0｡0｡1", "example。org"],
        *[
            "１２７.0.0.1",
            "①②⑦.0.0.1",
            "ｅxample.org",
            "ℓocalhost",
            "ⅷ.org",
            "loc\u212aal",
            "ª.org",
        ],
        *["[fe80::1%25eth0]", "[fe80::1%eth0]"],
        *["exam\u200bple.org", "exam\u00adple.org", "example.org\\@127.0.0.1", "a\\b"],
        *["a b", "a\tb", "a\nb", "a\rb", "a\x00b", "a\x7fb", "a\u00a0b", "a\u2028b", "exa\ud800"],
        *METADATA_HOSTS,
        *["METADATA.google.internal", "x.metadata.google.internal", "a.metadata.goog"],
    ],
)
@pytest.mark.parametrize("template", ["http://{}/", "https://{}:443/latest?x", "HTTP://{}"])
def test_ambiguous_hosts(host: str, template: str) -> None:
    assert expect_error(template.format(host)) is UrlForbidden
    permissive = {"allow_ports": None, "allow_userinfo": True}
    assert expect_error(template.format(host), **permissive) is UrlForbidden


@pytest.mark.parametrize(
    "url",
    [
        *["", "cat.png", "//example.org/", "http:example.org", "http:/example.org", "ftp://x/"],
        *["http://", "http:///", "https:///cat.png", "http://:80/", "http://?", "http://#"],
        *["http://[::1", "http://::1/", "http://[]/", "http://[::g]/", "http://[1.2.3.4]/"],
        *["http://[::1]x/", "http://[::1]]/", "http://x[::1]/", "http://[::1]:/"],
        *["http://a:b/", "http://a:/", "http://a:80:80/", "http://a:0/", "http://a:080/"],
        *["http://a:65536/", "http://a:-80/", "http://a:+80/", "http://a:８０/", "http://a:8_0/"],
        *["http://a..b/", "http://.a/", "http://-a/", "http://a-/", "http://a*b/", "http://a,b/"],
        *[
            "http://a<b/",
            "http://a^b/",
            "http://{a}/",
            "http://a|b/",
            "http://a!/",
            "http://☃.net/",
        ],
        *[f"http://{'a' * 64}.org/", f"http://{'a.' * 130}org/", f"http://a/{'a' * 70_000}"],
        *["javascript:alert(1)", "gopher://x/", "dict://x:11211/", "unix:///run/x", "ws://x/"],
    ],
)
def test_malformed(url: str) -> None:
    assert expect_error(url) is UrlInvalid


@pytest.mark.parametrize(
    "url",
    [
        "http://a/b\\c",
        "http://a/?b c",
        "http://a/\n",
        "http://a/#\x00",
        "http://a/\u202e",
        "http://a/\t",
    ],
)
def test_forbidden_characters(url: str) -> None:
    assert expect_error(url) is UrlForbidden


@pytest.mark.parametrize(
    "url",
    [
        *["http://user@example.org/", "http://user:word@example.org/", "http://@example.org/"],
        *[
            "http://:@example.org/",
            "https://user:word@example.org:443/",
            "http://a%40b@example.org",
        ],
    ],
)
def test_userinfo(url: str) -> None:
    assert expect_error(url) is UrlForbidden
    assert UrlPolicy(allow_userinfo=True).check(url).host == "example.org"


@pytest.mark.parametrize("userinfo", ["a@b", "a b", "a%4", "é", "a[", "127.0.0.1:80@a", "a|b"])
def test_malformed_userinfo(userinfo: str) -> None:
    assert expect_error(f"http://{userinfo}@example.org/", allow_userinfo=True) is UrlForbidden


@pytest.mark.parametrize("port", [1, 22, 25, 79, 81, 6379, 8080, 65535])
def test_ports(port: int) -> None:
    url = f"http://example.org:{port}/"
    assert expect_error(url) is UrlForbidden
    assert UrlPolicy(allow_ports=None).check(url).port == port
    assert UrlPolicy(allow_ports=frozenset({port})).check(url).port == port


def test_a_default_port_must_be_allowed_too() -> None:
    policy = UrlPolicy(allow_ports=frozenset({443}))
    policy.check("https://example.org/")
    policy.check("http://example.org:443/")
    assert expect_error("http://example.org/", allow_ports=frozenset({443})) is UrlForbidden


@pytest.mark.parametrize("domain", ["example.org", "EXAMPLE.org"])
@pytest.mark.parametrize("host", ["example.org", "a.example.org", "a.b.Example.ORG"])
def test_domains(domain: str, host: str) -> None:
    url = f"https://{host}/"
    UrlPolicy(allow_domains=[domain]).check(url)
    assert expect_error(url, deny_domains=[domain]) is UrlForbidden
    assert expect_error(url, allow_domains=[domain], deny_domains=[domain]) is UrlForbidden
    assert expect_error(url, allow_domains=["example.net"]) is UrlForbidden


@pytest.mark.parametrize(
    "host", ["badexample.org", "example.org.evil.net", "org", "[::1]", "1.2.3.4"]
)
def test_domains_match_complete_labels(host: str) -> None:
    assert expect_error(f"https://{host}/", allow_domains=["example.org"]) is UrlForbidden
    UrlPolicy(deny_domains=["example.org"]).check(f"https://{host}/")


def test_internationalized_domains() -> None:
    for domain in ("bücher.example", "xn--bcher-kva.example"):
        for host in ("BÜCHER.example", "a.bücher.example", "XN--BCHER-KVA.example"):
            UrlPolicy(allow_domains=[domain]).check(f"https://{host}/")
            assert expect_error(f"https://{host}/", deny_domains=[domain]) is UrlForbidden


@pytest.mark.parametrize("name", METADATA_HOSTS)
def test_metadata_hosts_cannot_be_allowed(name: str) -> None:
    assert expect_error(f"http://{name}/", allow_domains=[name]) is UrlForbidden


def test_the_client_must_parse_the_checked_host(monkeypatch: pytest.MonkeyPatch) -> None:
    other = httpx.URL("http://127.0.0.1/")
    monkeypatch.setattr("server.images.fetch.url_policy.httpx.URL", lambda _: other)
    assert expect_error("http://example.org/") is UrlForbidden


@given(st.text(max_size=40) | st.text("ab1.:/@[]%?#\\。０x ", max_size=40))
def test_every_allowed_url_has_one_host(tail: str) -> None:
    url = f"http://{tail}"
    try:
        parsed = UrlPolicy(allow_ports=None).check(url)
    except FetchError:
        return
    assert parsed.scheme == "http"
    assert parsed.raw_host
    assert not parsed.userinfo
    assert UrlPolicy(allow_ports=None).check(str(parsed)).raw_host == parsed.raw_host
