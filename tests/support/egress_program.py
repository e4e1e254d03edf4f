"""The real egress proxy with a network of its own: names, and where public addresses lead, come
from argv.

    {"names": {"evil.test": [["8.8.8.8"], ["127.0.0.1"]]}, "dial": {"8.8.8.8": 41234}}

A name answers its lists one after the other and then repeats the last one. A dialled address leads
to the port of 127.0.0.1 that is written beside it; loopback addresses lead to themselves; all
others are out of reach, so that no test ever sends a packet to the internet.
"""

import json
import sys
from ipaddress import ip_address

from checkback.security.addresses import Address
from checkback.security.egress import __main__ as egress_process
from checkback.security.egress.relay import Streams

WORLD = json.loads(sys.argv[1])
asked: dict[str, int] = {}


async def resolve(name: str) -> list[Address]:
    answers = WORLD["names"].get(name, [[]])
    number = asked.get(name, 0)
    asked[name] = number + 1
    return [ip_address(text) for text in answers[min(number, len(answers) - 1)]]


async def connect(address: Address, port: int) -> Streams:
    led_to = WORLD.get("dial", {}).get(str(address))
    if led_to is not None:
        return await egress_process.connect(ip_address("127.0.0.1"), led_to)
    if not address.is_loopback:
        raise OSError("out of reach in tests")
    return await egress_process.connect(address, port)


egress_process.main(resolve, connect)
