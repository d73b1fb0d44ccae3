"""Stopping a process."""

import signal
import subprocess
import sys
import threading

import pytest

from dirsync.runtime.process.lifecycle import Lifetime, within

SERVICE = """
import sys, threading, time
from dirsync.runtime.process.lifecycle import run_until_stopped
def start(lifetime):
    print("started", flush=True)
def stop(reason):
    print("stopping", reason, flush=True)
    time.sleep(float(sys.argv[1]))
    print("stopped", flush=True)
run_until_stopped(start, stop)
"""


def service(seconds: str) -> subprocess.Popen[str]:
    """A process that takes so long to stop."""
    process = subprocess.Popen([sys.executable, "-c", SERVICE, seconds], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert "started\n" == process.stdout.readline()
    return process


@pytest.mark.parametrize(
    "main, code, printed",
    [
        ("lambda: 3", 3, ["out", "thread", "last"]),
        ("lambda: sys.exit(4)", 4, ["out", "thread", "last"]),
        ("sys.exit", 0, ["out", "thread", "last"]),
        ("lambda: sys.exit('why')", 1, ["out", "thread", "last", "freed"]),
        ("lambda: 1 / 0", 1, ["out", "thread", "last", "freed"]),
    ],
)
def test_end_of_a_process(main: str, code: int, printed: list[str]) -> None:
    """What is to be done at the end is done, and output is written, but objects are not taken apart."""
    program = (
        "import atexit, os, sys, threading, time, weakref\n"
        "from dirsync.runtime.process.lifecycle import run_process\n"
        "kept = {'self': None}; kept['self'] = sys.modules['kept'] = type('Kept', (), {})()\n"
        "type(kept['self']).__del__ = lambda _self, write=os.write: write(1, b'freed\\n')\n"
        "def started(main):\n"
        "    print('out')\n"
        "    sys.stdout.flush()\n"
        "    atexit.register(print, 'last')\n"
        "    threading.Thread(target=lambda: (time.sleep(0.2), print('thread'))).start()\n"
        "    return main()\n"
        f"run_process(lambda: started({main}))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False)

    assert (code, printed) == (ended.returncode, ended.stdout.split())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_first_signal_stops_cleanly(number: signal.Signals) -> None:
    """One signal ends a process in order, with exit code 0."""
    process = service("0.1")
    process.send_signal(number)
    out, _ = process.communicate(timeout=10)

    assert (f"stopping {number.name}\nstopped\n", 0) == (out, process.returncode)


def test_signal_to_another_thread() -> None:
    """A signal that the kernel hands to another thread than the waiting one stops the process too."""
    program = SERVICE.replace(
        'print("started", flush=True)',
        """
    idle = threading.Thread(target=time.sleep, args=(60,), daemon=True)
    idle.start()
    threading.Timer(0.2, signal.pthread_kill, (idle.ident, signal.SIGTERM)).start()""",
    )
    process = subprocess.run(
        [sys.executable, "-c", f"import signal{program}", "0"], capture_output=True, text=True, timeout=10, check=False
    )

    assert ("stopping SIGTERM\nstopped\n", "", 0) == (process.stdout, process.stderr, process.returncode)


def test_second_signal_stops_now() -> None:
    """A second signal does not wait for the order."""
    process = service("60")
    process.send_signal(signal.SIGTERM)
    assert process.stdout
    assert "stopping SIGTERM\n" == process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=10)

    assert ("", 1) == (out, process.returncode)


def test_end_from_inside() -> None:
    """Any thread may end the process, with its reason; without one waiting takes its time and no more."""
    lifetime = Lifetime()
    assert None is lifetime.wait(0.01)
    threading.Thread(target=lifetime.end, args=("scanner died",)).start()

    assert "scanner died" == lifetime.wait(5)


def test_handlers_are_put_back() -> None:
    """After the service the signals mean what they meant before."""
    before = signal.getsignal(signal.SIGTERM)
    with Lifetime().signals():
        assert before != signal.getsignal(signal.SIGTERM)

    assert before == signal.getsignal(signal.SIGTERM)


def test_within() -> None:
    """Work is waited for as long as it may take, and no longer."""
    go_on = threading.Event()

    assert within(5, lambda: None)
    assert not within(0.01, lambda: go_on.wait(5))
    go_on.set()
