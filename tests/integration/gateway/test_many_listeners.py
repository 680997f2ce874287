"""A thousand who listen to one process: each hears what is theirs, once, and all are let go."""

import asyncio
import json
import resource
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from tests.integration.gateway.api import PATIENCE_SECONDS, Api, Person
from tests.integration.gateway.listening import listening
from tests.integration.gateway.neighbours import publishes
from tests.integration.gateway.wallets import Ledger

CONNECTIONS: Final = 1_000
PEOPLE: Final = 20
FILES: Final = 2 * CONNECTIONS + 500
"""Both ends of each connection are this process's, as the gateway runs in it."""


@dataclass
class Stream:
    """A connection that listens: raw, since a client for each would cost more than the server."""

    owner: Person
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def event(self) -> tuple[str, str]:
        """Return the next event's kind and data, decoded from its chunks."""
        fields: dict[str, str] = {}
        while True:
            line = (await self.reader.readline()).decode().rstrip("\r\n")
            if line == "" and self.reader.at_eof():
                raise EOFError
            name, separator, value = line.partition(": ")
            if separator and name in {"event", "data"}:
                fields[name] = value
            if len(fields) == 2:
                return fields["event"], fields["data"]


async def opens(api: Api, owner: Person) -> Stream:
    place = urlsplit(api.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    session = owner.client.cookies["tollgate_session"]
    writer.write(
        f"GET /api/events HTTP/1.1\r\nHost: {place.netloc}\r\n"
        f"Cookie: tollgate_session={session}\r\n\r\n".encode()
    )
    head = await reader.readuntil(b": connected\n\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    return Stream(owner, reader, writer)


async def hears(stream: Stream) -> list[tuple[str, str]]:
    """Return all that is heard up to the module that is published last, which everybody hears."""
    heard: list[tuple[str, str]] = []
    while not heard or heard[-1][0] != "module":
        heard.append(await stream.event())
    return heard


async def test_a_thousand_each_hear_what_is_theirs_once_and_end_with_the_process(api: Api) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, hard), hard))
    people = [await api.person() for _ in range(PEOPLE)]
    async with asyncio.timeout(4 * PATIENCE_SECONDS):
        streams: list[Stream] = []
        while len(streams) < CONNECTIONS:
            streams += await asyncio.gather(*(opens(api, person) for person in people))
        listeners = [asyncio.create_task(hears(stream)) for stream in streams]
        for number, person in enumerate(people, start=1):
            await Ledger(api, person.id).awards(number)
        await publishes(api)
        heard = await asyncio.gather(*listeners)

        api.running.stopping.set()
        left = await asyncio.gather(*(stream.reader.read() for stream in streams))

    awarded = {person.id: number for number, person in enumerate(people, start=1)}
    for stream, events in zip(streams, heard, strict=True):
        assert [kind for kind, _ in events] == ["balance", "module"]
        balance = json.loads(events[0][1])
        assert balance["user_id"] == stream.owner.id
        assert balance["awarded"] == awarded[stream.owner.id]
    assert all(b"event:" not in rest for rest in left)
    for stream in streams:
        stream.writer.close()


async def test_who_is_cut_off_again_and_again_misses_nothing_and_hears_nothing_twice(
    api: Api,
) -> None:
    ada = await api.person()
    wallet = Ledger(api, ada.id)
    async with listening(ada) as heard:
        await wallet.awards(1)
        _, last_id, _ = await heard.next()

    async def awards() -> None:
        for _ in range(40):
            await wallet.awards(1)

    telling = asyncio.create_task(awards())
    amounts: list[int] = []
    for length in (1, 2, 3, 5, 8, 13, 8):
        async with listening(ada, **{"Last-Event-ID": last_id}) as heard:
            for _ in range(length):
                _, last_id, data = await heard.next()
                amounts.append(json.loads(data)["awarded"])
    await telling

    assert amounts == list(range(2, 42))
