from __future__ import annotations

import os
import signal
import threading

import pytest

pytest.importorskip("torch")

from statlearn.neural._training._interruption import Interruption

pytestmark = pytest.mark.usefixtures("keyboard")


def press():
    os.kill(os.getpid(), signal.SIGINT)


def work(reached, *, presses, error=None):
    with Interruption() as interruption:
        for _ in range(presses):
            press()
            reached.append(interruption.requested)
        if error is not None:
            raise error


@pytest.mark.parametrize("error", [None, RuntimeError("a worker has ended")], ids=str)
def test_the_first_interrupt_is_raised_at_the_end(error):
    reached = []
    with pytest.raises(KeyboardInterrupt) as caught:
        work(reached, presses=1, error=error)
    assert reached == [True]
    assert caught.value.__cause__ is error
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_second_interrupt_is_not_held_back():
    reached = []
    with pytest.raises(KeyboardInterrupt):
        work(reached, presses=2)
    assert reached == [True]


def test_a_handler_of_the_user_is_left_in_its_place():
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        with Interruption() as interruption:
            press()
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [1]
    assert not interruption.requested


def test_other_threads_have_no_handler():
    before, during = signal.getsignal(signal.SIGINT), []

    def work():
        with Interruption():
            during.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert during == [before]
