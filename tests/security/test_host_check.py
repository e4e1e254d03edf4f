"""Host and Origin: which requests are let near a handler at all."""

from __future__ import annotations

import pytest

from checkback.core.errors import Forbidden
from checkback.security.host_check import HostList, check

HOSTS = HostList.of(8787, ["jobs.example.com", "intern:9000"])

KNOWN_HOSTS = """
127.0.0.1:8787
localhost:8787
LOCALHOST:8787
[::1]:8787
jobs.example.com
jobs.example.com:443
intern:9000
"""

OTHER_HOSTS = """
evil.com
evil.com:8787
127.0.0.1
127.0.0.1:80
0.0.0.0:8787
localhost.evil.com:8787
127.0.0.1:8787@evil.com
evil.com#jobs.example.com
jobs.example.com:x
jobs.example.com:123456
[::1]x:8787
127.0.0.1:8787/..
x jobs.example.com
intern
"""

OWN_PAGES = """
http://127.0.0.1:8787
http://localhost:8787
http://[::1]:8787
https://jobs.example.com
http://intern:9000
"""

PAGES_OF_OTHERS = """
https://evil
null
http://localhost:3000
http://127.0.0.1
file://
http://evil.com:8787
http://jobs.example.com.evil.com
http://evil.com/jobs.example.com
chrome-extension://abc
http://jobs.example.com@evil.com
http://evil@jobs.example.com
http://[::1
http://localhost:x
ftp://jobs.example.com
http://jobs.example.com?x
http://jobs.example.com/#x
"""


@pytest.mark.parametrize("host", KNOWN_HOSTS.strip().splitlines())
def test_known_hosts(host: str) -> None:
    check(HOSTS, [host], [])


@pytest.mark.parametrize("host", ["", *OTHER_HOSTS.strip().splitlines()])
def test_other_hosts(host: str) -> None:
    with pytest.raises(Forbidden):
        check(HOSTS, [host], [])


@pytest.mark.parametrize("hosts", [[], ["127.0.0.1:8787", "evil.com"], ["127.0.0.1:8787"] * 2])
def test_there_is_exactly_one_host(hosts: list[str]) -> None:
    with pytest.raises(Forbidden):
        check(HOSTS, hosts, [])


@pytest.mark.parametrize("origin", OWN_PAGES.strip().splitlines())
def test_own_pages(origin: str) -> None:
    check(HOSTS, ["127.0.0.1:8787"], [origin])


@pytest.mark.parametrize("origin", ["", *PAGES_OF_OTHERS.strip().splitlines()])
def test_pages_of_others(origin: str) -> None:
    with pytest.raises(Forbidden):
        check(HOSTS, ["127.0.0.1:8787"], [origin])


def test_two_origins_are_one_too_many() -> None:
    with pytest.raises(Forbidden):
        check(HOSTS, ["127.0.0.1:8787"], ["http://127.0.0.1:8787"] * 2)


def test_a_listed_name_with_the_port_that_browsers_leave_out() -> None:
    listed = HostList.of(None, ["jobs.example.com:443"])
    check(listed, ["localhost:1234"], ["https://jobs.example.com"])
    with pytest.raises(Forbidden):
        check(listed, ["localhost:1234"], ["http://jobs.example.com"])
