"""Free ports of 127.0.0.1."""

from __future__ import annotations

import socket

from skfleet.local.ports import free_port, is_free


def test_a_port_that_is_free_is_given_again() -> None:
    port = free_port()
    assert free_port(preferred=port) == port


def test_a_port_that_somebody_listens_on_is_not_given() -> None:
    port = free_port()
    with socket.socket() as other:
        other.bind(("0.0.0.0", port))  # noqa: S104  (that is the case to see)
        other.listen()
        assert not is_free(port)
        assert free_port(preferred=port) != port


def test_a_port_promised_to_another_part_is_not_given() -> None:
    port = free_port()
    assert free_port(preferred=port, taken=[port]) != port
