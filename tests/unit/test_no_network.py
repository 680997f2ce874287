"""The block on sockets is there."""

import asyncio
import socket

import pytest
import pytest_socket


@pytest.mark.filterwarnings("ignore:A test tried to use socket")
def test_a_socket_fails_a_unit_test() -> None:
    with pytest.raises(pytest_socket.SocketBlockedError):
        socket.create_connection(("127.0.0.1", 9), timeout=1)


async def test_an_event_loop_runs_in_a_unit_test() -> None:
    assert await asyncio.sleep(0, "yes") == "yes"
