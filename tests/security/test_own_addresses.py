"""Public addresses of this machine itself, and those that its operator denies, are out of jobs'
reach.
"""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest

from checkback.core.errors import AddressBlocked, InvalidInput
from checkback.security.addresses import AddressPolicy, BlockReason, check_url
from checkback.security.egress.client import EgressProxy

# A network of its own in which 93.184.216.34 is this machine's address, with a web server there.
PROGRAM = """
import asyncio, ctypes, fcntl, os, socket, struct, sys

libc = ctypes.CDLL(None, use_errno=True)
for flags in (0x40000000, 0x50000000):  # CLONE_NEWNET, with CLONE_NEWUSER for whoever is not root
    if libc.unshare(flags) == 0:
        break
else:
    sys.exit(77)

def address(text):
    return struct.pack("16sHH4s8x", b"lo:1", socket.AF_INET, 0, socket.inet_aton(text))

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    fcntl.ioctl(control, 0x8914, struct.pack("16sH22x", b"lo", 0x1 | 0x40))  # up
    fcntl.ioctl(control, 0x8916, address("93.184.216.34"))

from checkback.security.egress.client import EgressProxy
from checkback.security.egress.__main__ import is_own
from checkback.kinds import proxy_client
from checkback.kinds.context import Egress
from ipaddress import ip_address

print([is_own(ip_address(one)) for one in ("93.184.216.34", "127.0.0.1", "93.184.216.35", "2606:4700::1")])

def fetch(egress):
    try:
        with proxy_client.get("http://93.184.216.34:8080/", egress, seconds=5, headers={}) as response:
            return response.status
    except proxy_client.FetchFailed as error:
        return type(error).__name__

async def serve(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
    writer.close()

async def main():
    async with await asyncio.start_server(serve, "93.184.216.34", 8080):
        for allowed in ((), ("93.184.216.34:8080",)):
            proxy = await EgressProxy.start(allow_hosts=allowed)
            grant = await proxy.grant("job")
            egress = Egress(grant.proxy_url, grant.username, grant.password)
            print(await asyncio.to_thread(fetch, egress))
            report = await proxy.revoke(grant)
            print([one.reason for one in report.blocked])
            await proxy.close()

asyncio.run(main())
"""


def test_a_public_address_of_this_machine_is_reached_only_where_it_is_allowed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    if done.returncode == 77:
        pytest.skip("This system gives no network namespaces.")
    assert done.stdout.splitlines() == [
        "[True, True, False, False]",
        "HostBlocked",
        "['own']",
        "200",
        "[]",
    ], done.stderr


DENIED = AddressPolicy.of((), ("203.0.114.0/24", "2a00:1450::/32", "9.9.9.9"))


@pytest.mark.parametrize(
    "address",
    ["203.0.114.7", "::ffff:203.0.114.7", "64:ff9b::cb00:7207", "2a00:1450:1::1", "9.9.9.9"],
)
def test_a_denied_network_is_refused_at_the_api_and_by_the_proxy(address: str) -> None:
    host = ip_address(address)
    assert DENIED.refuse_host(host, 80) is BlockReason.DENIED
    assert DENIED.refuse("a.example", 80, [ip_address("1.1.1.1"), host]) is BlockReason.DENIED
    written = f"[{address}]" if ":" in address else address
    with pytest.raises(AddressBlocked, match="deny"):
        check_url(f"http://{written}/", DENIED)


def test_other_addresses_are_not_denied() -> None:
    assert (
        DENIED.refuse("a.example", 443, [ip_address("203.0.115.7"), ip_address("9.9.9.8")]) is None
    )


def test_an_allowed_address_is_not_denied_and_an_allowed_name_may_not_lead_to_one_that_is() -> None:
    policy = AddressPolicy.of(("203.0.114.7:80", "a.example:80"), ("203.0.114.0/24",))
    assert policy.refuse(ip_address("203.0.114.7"), 80, []) is None
    assert policy.refuse("a.example", 80, [ip_address("203.0.114.7")]) is BlockReason.DENIED


async def test_the_proxy_is_told_what_is_denied() -> None:
    proxy = await EgressProxy.start(deny_networks=("203.0.114.0/24",))
    grant = await proxy.grant("job")
    key = base64.b64encode(f"{grant.username}:{grant.password}".encode()).decode()
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(grant.proxy_url).port)
    head = (
        f"GET http://203.0.114.7/ HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic {key}\r\n\r\n"
    )
    writer.write(head.encode())
    answer = await reader.read()
    writer.close()
    await proxy.close()
    assert answer.startswith(b"HTTP/1.1 403")
    assert b"X-Checkback-Blocked: denied" in answer


@pytest.mark.parametrize("entry", ["nonsense", "1.2.3.4/33", "example.com", "1.2.3.4:80", "::/129"])
def test_a_network_that_is_none_is_named(entry: str) -> None:
    with pytest.raises(InvalidInput, match="CHECKBACK_DENY_NETWORKS") as refused:
        AddressPolicy.of((), (entry,))
    assert entry in refused.value.message
