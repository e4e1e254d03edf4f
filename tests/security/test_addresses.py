"""What counts as public, and what the door says about a URL. Tables; no network."""

from ipaddress import ip_address

import pytest

from blocked_addresses import BLOCKED_URLS, SPELLINGS
from checkback.core.errors import AddressBlocked, InvalidInput
from checkback.security.addresses import AddressPolicy, BlockReason, check_url, classify, parse_host

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.0.1",
    "172.32.0.1",
    "192.0.1.1",
    "198.17.0.1",
    "198.20.0.1",
    "223.255.255.254",
    "2606:4700:4700::1111",
    "2a00:1450:4001:82a::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2606:4700::5efe:808:808",
]

NOT_PUBLIC = [
    ("0.0.0.0", BlockReason.UNSPECIFIED),
    ("0.1.2.3", BlockReason.UNSPECIFIED),
    ("10.0.0.1", BlockReason.PRIVATE),
    ("100.64.0.1", BlockReason.SHARED),
    ("100.127.255.255", BlockReason.SHARED),
    ("100.100.100.200", BlockReason.METADATA),
    ("127.0.0.1", BlockReason.LOOPBACK),
    ("127.255.255.254", BlockReason.LOOPBACK),
    ("168.63.129.16", BlockReason.METADATA),
    ("169.254.1.1", BlockReason.LINK_LOCAL),
    ("169.254.169.254", BlockReason.METADATA),
    ("169.254.170.2", BlockReason.METADATA),
    ("172.16.0.1", BlockReason.PRIVATE),
    ("172.31.255.255", BlockReason.PRIVATE),
    ("192.0.0.1", BlockReason.RESERVED),
    ("192.0.0.9", BlockReason.RESERVED),
    ("192.0.0.192", BlockReason.METADATA),
    ("192.0.2.1", BlockReason.DOCUMENTATION),
    ("192.88.99.1", BlockReason.TRANSLATION),
    ("192.168.0.1", BlockReason.PRIVATE),
    ("198.18.0.1", BlockReason.BENCHMARK),
    ("198.19.255.255", BlockReason.BENCHMARK),
    ("198.51.100.1", BlockReason.DOCUMENTATION),
    ("203.0.113.1", BlockReason.DOCUMENTATION),
    ("224.0.0.1", BlockReason.MULTICAST),
    ("239.255.255.255", BlockReason.MULTICAST),
    ("240.0.0.1", BlockReason.RESERVED),
    ("255.255.255.255", BlockReason.RESERVED),
    ("::", BlockReason.UNSPECIFIED),
    ("::1", BlockReason.LOOPBACK),
    ("::7f00:1", BlockReason.TRANSLATION),
    ("::808:808", BlockReason.TRANSLATION),
    ("::ffff:7f00:1", BlockReason.LOOPBACK),
    ("::ffff:169.254.169.254", BlockReason.METADATA),
    ("::ffff:10.1.2.3", BlockReason.PRIVATE),
    ("::ffff:0:7f00:1", BlockReason.TRANSLATION),
    ("64:ff9b::7f00:1", BlockReason.LOOPBACK),
    ("64:ff9b::a9fe:a9fe", BlockReason.METADATA),
    ("64:ff9b:1::808:808", BlockReason.TRANSLATION),
    ("100::1", BlockReason.RESERVED),
    ("2001::7f00:1", BlockReason.TRANSLATION),
    ("2001:0:4136:e378:8000:63bf:3fff:fdd2", BlockReason.TRANSLATION),
    ("2001:2::1", BlockReason.BENCHMARK),
    ("2001:10::1", BlockReason.RESERVED),
    ("2001:db8::1", BlockReason.DOCUMENTATION),
    ("2002:7f00:1::", BlockReason.TRANSLATION),
    ("2002:808:808::1", BlockReason.TRANSLATION),
    ("2606:4700::5efe:7f00:1", BlockReason.LOOPBACK),
    ("2606:4700::200:5efe:a00:1", BlockReason.PRIVATE),
    ("3fff::1", BlockReason.DOCUMENTATION),
    ("4000::1", BlockReason.RESERVED),
    ("fc00::1", BlockReason.PRIVATE),
    ("fd00::1", BlockReason.PRIVATE),
    ("fd00:ec2::254", BlockReason.METADATA),
    ("fe80::1", BlockReason.LINK_LOCAL),
    ("fe80::1%eth0", BlockReason.LINK_LOCAL),
    ("fec0::1", BlockReason.PRIVATE),
    ("ff02::1", BlockReason.MULTICAST),
]


@pytest.mark.parametrize("text", PUBLIC)
def test_public_unicast_addresses_may_be_reached(text: str) -> None:
    assert classify(ip_address(text)) is None


@pytest.mark.parametrize(("text", "reason"), NOT_PUBLIC)
def test_every_other_address_has_a_reason(text: str, reason: BlockReason) -> None:
    assert classify(ip_address(text)) is reason


@pytest.mark.parametrize(("written", "meant"), SPELLINGS)
def test_every_spelling_of_an_address_is_understood(written: str, meant: str) -> None:
    assert parse_host(written) == ip_address(meant)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("ex%61mple.com", "example.com"),
        ("a_b.example", "a_b.example"),
        ("127.0.0.1.nip.io", "127.0.0.1.nip.io"),
    ],
)
def test_names_come_out_as_a_browser_sends_them(written: str, meant: str) -> None:
    assert parse_host(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        "",
        ".",
        "a..b",
        "-a.example",
        "a b",
        "a/b",
        "a%00b",
        "a%2fb",
        "256.1.1.1",
        "1.2.3.4.5",
        "0x",
        "08.1.1.1.1",
        "1_0.1",
        "4294967296",
        "[::1",
        "[::1%25eth0]",
        "[fe80::1%eth0]",
        "[1.2.3.4]",
        "a" * 64 + ".example",
        "9" * 5000,
    ],
)
def test_what_is_no_host_is_said_to_be_none(written: str) -> None:
    if written == "0x":  # an empty hexadecimal number is zero, to a browser as well
        assert parse_host(written) == ip_address("0.0.0.0")
        return
    with pytest.raises(InvalidInput):
        parse_host(written)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "https://example.com/a?b#c",
        "HTTP://EXAMPLE.COM/",
        "https://example.com:8443/",
        "http://example.com:8080",
        "http://bücher.example/",
        "http://8.8.8.8/",
        "http://[2606:4700:4700::1111]/",
        "http://example.com:/",
    ],
)
def test_a_public_url_passes_the_door(url: str) -> None:
    assert check_url(url, AddressPolicy()).scheme in ("http", "https")


@pytest.mark.parametrize("url", BLOCKED_URLS)
def test_a_url_that_no_job_may_load_is_refused_at_the_door(url: str) -> None:
    with pytest.raises(AddressBlocked) as caught:
        check_url(url, AddressPolicy())
    assert caught.value.message.endswith(".")
    assert "password" not in caught.value.message or "user name or password" in caught.value.message


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com/",
        "http:example.com",
        "http:/example.com",
        "http:///example.com",
        "http://",
        "http://:80/",
        "http://?x",
        "http:\\\\127.0.0.1",
        "http://exa mple.com/",
        " http://example.com/",
        "http://example.com/\n",
        "http://exa\tmple.com/",
        "http://example.com\\@127.0.0.1/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:http/",
        "http://[::1/",
        "http://256.256.256.256/",
        "http://example.com/" + "a" * 9000,
        "http://a\u202eb/",
    ],
)
def test_what_is_no_url_is_said_to_be_none(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_url(url, AddressPolicy())
    assert not isinstance(caught.value, AddressBlocked)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "example.com/a",
            'A URL must begin with http:// or https://; got "example.com/a". '
            "Did you mean https://example.com/a?",
        ),
        ("ada@example.com", "A URL must begin with http:// or https://."),
        ("example.com?key=secret", "A URL must begin with http:// or https://."),
    ],
)
def test_a_url_without_a_scheme_gets_a_suggestion_and_no_secret_is_repeated(
    url: str, message: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_url(url, AddressPolicy())
    assert caught.value.message == message


def test_an_allowed_host_counts_as_written_and_for_its_port_only() -> None:
    policy = AddressPolicy.of(["127.0.0.1:8000", "[::1]:*", "App.Internal:3000", "localhost:*"])
    for url in (
        "http://127.0.0.1:8000/",
        "http://127.1:8000/",
        "http://[::1]:9/",
        "http://app.internal:3000",
        "http://localhost:5173/",
    ):
        check_url(url, policy)
    for url in ("http://127.0.0.1:8001/", "http://127.0.0.2:8000/", "http://[::ffff:7f00:1]:8000/"):
        with pytest.raises(AddressBlocked):
            check_url(url, policy)


def test_an_allowed_name_may_be_private_but_never_a_metadata_service() -> None:
    policy = AddressPolicy.of(["app.internal:3000"])
    assert policy.refuse("app.internal", 3000, [ip_address("10.1.2.3"), ip_address("::1")]) is None
    assert (
        policy.refuse("app.internal", 3000, [ip_address("169.254.169.254")]) is BlockReason.METADATA
    )
    assert policy.refuse("app.internal", 3000, [ip_address("fe80::1")]) is BlockReason.LINK_LOCAL


def test_one_private_address_among_public_ones_refuses_the_name() -> None:
    addresses = [ip_address("8.8.8.8"), ip_address("127.0.0.1"), ip_address("1.1.1.1")]
    assert AddressPolicy().refuse("two-faced.example", 80, addresses) is BlockReason.LOOPBACK
    assert AddressPolicy().refuse("honest.example", 80, addresses[:1]) is None


@pytest.mark.parametrize(
    "entry",
    [
        "localhost",
        "localhost:",
        ":80",
        "localhost:0",
        "localhost:99999",
        "::1:80",
        "a b:80",
        "http://a:80",
        "*:80",
    ],
)
def test_a_bad_entry_of_the_allowed_hosts_is_named(entry: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        AddressPolicy.of([entry])
    assert entry in caught.value.message
