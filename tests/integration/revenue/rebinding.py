"""A machine of its own whose name server lies: run as root of new network and mount namespaces.

The name `hooks.partner.dev` leads to a public address and to this machine by turns, as the name of
somebody does who wants our servers to ask their own network. Two attempts are made by the real
sender's session, through the machine's own resolver. What came of each is written as JSON, and how
often somebody connected to this machine's port 443.
"""

import asyncio
import fcntl
import json
import socket
import struct
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any, Final

from typing_extensions import override

from services.revenue.webhooks.addresses import ThreadLookup
from services.revenue.webhooks.posting import open_session, post

NAME: Final = "hooks.partner.dev"
ADDRESSES: Final = ("93.184.215.14", "127.0.0.1")
_SET_FLAGS: Final = 0x8914  # SIOCSIFFLAGS
_UP: Final = 1
_A: Final = 1
_HEADER_BYTES: Final = 12


class LyingServer(asyncio.DatagramProtocol):
    """Answers each question for an IPv4 address with the next one, which is good for no time."""

    def __init__(self) -> None:
        self.asked = 0
        self._next = cycle(ADDRESSES)

    @override
    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    @override
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        end = data.index(b"\0", _HEADER_BYTES) + 5
        question = data[_HEADER_BYTES:end]
        (kind,) = struct.unpack(">H", question[-4:-2])
        answers = b""
        if kind == _A:
            self.asked += 1
            address = socket.inet_aton(next(self._next))
            answers = struct.pack(">HHHIH", 0xC00C, _A, 1, 0, len(address)) + address
        counts = struct.pack(">HHHHH", 0x8180, 1, len(answers) > 0, 0, 0)
        self._transport.sendto(data[:2] + counts + question + answers, addr)


def use_own_network() -> None:
    """Bring loopback up, and have names looked up there; nobody outside sees either."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP))
    for path, content in (
        ("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"),
        ("/etc/nsswitch.conf", "hosts: dns\n"),
    ):
        with tempfile.NamedTemporaryFile("w", delete=False) as file:
            file.write(content)
        target = str(Path(path).resolve())
        subprocess.run(["mount", "--bind", file.name, target], check=True)


async def main() -> None:
    """Try twice, and tell."""
    loop = asyncio.get_running_loop()
    names = LyingServer()
    await loop.create_datagram_endpoint(lambda: names, local_addr=("127.0.0.1", 53))
    connected = 0

    def came(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connected
        connected += 1
        writer.close()

    server = await asyncio.start_server(came, "127.0.0.1", 443)
    lookup = ThreadLookup()
    errors = []
    now = datetime(2026, 11, 21, tzinfo=UTC)
    async with server, open_session(lookup, allow_loopback=False) as session:
        for _ in range(2):
            answer = await post(session, f"https://{NAME}/hook", {}, b"{}", now)
            errors.append(answer.error)
        reader, writer = await asyncio.open_connection("127.0.0.1", 443)
        await reader.read()
        writer.close()
    lookup.close()
    told = {"asked": names.asked, "errors": errors, "connected": connected}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    use_own_network()
    asyncio.run(main())
