"""Interrupts wait for what must be done whole."""

from __future__ import annotations

import os
import signal

import pytest

from skfleet.local.interrupts import Interrupts


def signal_inside_a_held_block(interrupts: Interrupts, reached: list[str]) -> None:
    with interrupts.held():
        os.kill(os.getpid(), signal.SIGTERM)
        with interrupts.held():
            reached.append("inside")
        reached.append("the whole block")
    reached.append("after it")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_signal_interrupts(number: signal.Signals) -> None:
    with Interrupts(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


def test_nohup_means_what_it_says() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_interrupt_waits_for_the_end_of_a_held_block() -> None:
    reached: list[str] = []
    with Interrupts() as interrupts, pytest.raises(KeyboardInterrupt):
        signal_inside_a_held_block(interrupts, reached)
    assert reached == ["inside", "the whole block"]


def test_the_handlers_of_before_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
