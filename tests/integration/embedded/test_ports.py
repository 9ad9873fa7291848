"""Ports that servers keep after they were killed."""

from __future__ import annotations

import os
import socket

import pytest

from skyhold_local.embedded import ports
from skyhold_local.embedded.errors import PortTaken
from skyhold_local.embedded.ports import LOOPBACK, free_port, is_port_free


def test_a_free_port_is_none_that_an_outgoing_connection_may_be_given() -> None:
    with socket.create_server((LOOPBACK, 0)) as server, socket.create_connection(server.getsockname()) as outgoing:
        given = outgoing.getsockname()[1]
        assert not is_port_free(given), "a connection keeps its port from a server"
        assert all(port < given for port in (free_port() for _ in range(50)))


def test_a_port_that_was_given_is_not_given_again_while_its_server_may_be_down() -> None:
    given = [free_port() for _ in range(20)]
    assert len(set(given)) == len(given)


def test_processes_choose_from_blocks_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn_by(pid: int) -> set[int]:
        monkeypatch.setattr(os, "getpid", lambda: pid)
        return {free_port() for _ in range(8)}

    assert not drawn_by(4711) & drawn_by(4712)


def test_a_free_port_can_be_listened_on_at_once_and_again() -> None:
    port = free_port()
    for _ in range(2):
        with socket.create_server((LOOPBACK, port)):
            assert not is_port_free(port)


def test_where_no_port_is_free_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        taken = server.getsockname()[1]
        monkeypatch.setattr(ports, "_LOWEST", taken)
        monkeypatch.setattr(ports, "_HIGHEST", taken)
        with pytest.raises(PortTaken, match="none is free"):
            free_port()
