"""The server's door with clocks that are moved by hand: real calls to real servicers, in this process."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from dirsync.clock import Monotonic
from dirsync.endpoint.quota import Quota
from dirsync.endpoint.replica import Replica
from dirsync.fs.write.durable import Fsync
from dirsync.limits import LIMITS
from dirsync.location import Location
from dirsync.rpc.auth.gate import REFUSAL, AuthGate
from dirsync.rpc.auth.throttle import AuthThrottle
from dirsync.rpc.service import generic_handler
from dirsync.runtime.metrics.catalogue import SERVER_CATALOGUE
from dirsync.runtime.metrics.metrics import NoMetrics
from dirsync.tree.options import TreeOptions
from dirsync.tree.path import ROOT
from dirsync.wire.descriptors import NAMESPACE_KEY, SYNC_SERVICE
from dirsync.wire.session import OpenRequest, encode_close, encode_list
from dirsync_server.services.sync import SyncServicer
from dirsync_server.services.write_api import WriteApi
from dirsync_server.sessions import Session, Sessions
from dirsync_server.tenancy.authority import Authority
from dirsync_server.tenancy.policies import Defaults
from dirsync_server.tenancy.registry import TenantRegistry
from dirsync_server.tenancy.tenants import Tenant
from dirsync_server.tenancy.tokens import Token
from tests.support.inside.direct import FixedReplicas
from tests.support.peers.callers import Caller, End, bearer
from tests.support.peers.wire import SYNC

POLICY = Defaults(Quota(1 << 20, 1 << 20, 100, 0), Fsync.NEVER, fixed=False, file_mode=0o600, dir_mode=0o700).policy
NAMES = ("red", "blue")


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now

    def wall(self) -> int:
        """Nanoseconds."""
        return round(self.now * 10**9)


class Desk:
    """A server of two tenants, each with one token that counts until the hundredth second from the start."""

    def __init__(self, place: Path) -> None:
        self.clock = Clock()
        end = self.clock.wall() + 100 * 10**9
        self.looks = 0
        """How often somebody's credentials were looked at."""
        self._tenants = {
            name: Tenant(name, place / name, POLICY, (Token(hashlib.sha256(name.encode()).digest(), None, end),))
            for name in NAMES
        }
        for name in NAMES:
            (place / name).mkdir()
        self.replicas = {name: Replica.open(name, place / name, place, POLICY) for name in NAMES}
        for replica in self.replicas.values():
            replica.scan()
        self.sessions = Sessions(4, self.clock)
        authority = Authority(
            TenantRegistry(self._tenants_now),
            FixedReplicas(self.replicas),
            requires_credentials=True,
            gate=AuthGate(_attempts(self.clock)),
            wall=self.clock.wall,
        )
        servicer = SyncServicer(authority, WriteApi(self.sessions, NoMetrics(catalogue=SERVER_CATALOGUE)))
        self._server = grpc.server(ThreadPoolExecutor(4))
        handler = generic_handler(SYNC_SERVICE, servicer.handlers(), admit=authority.admit)
        self._server.add_generic_rpc_handlers((handler,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def close(self) -> None:
        """Stop."""
        self._server.stop(None).wait()
        for replica in self.replicas.values():
            replica.close()

    def _tenants_now(self) -> dict[str, Tenant]:
        self.looks += 1
        return self._tenants

    def open(self, name: str) -> Session:
        """A session of a tenant."""
        return self.sessions.open(OpenRequest(name, "client", "1", TreeOptions(), Location("", ())), 1)

    def call(self, method: str, request: bytes, token: str, namespace: str = "") -> End:
        """One call, on a connection of its own, with the namespace in its metadata if there is one."""
        named = ((NAMESPACE_KEY, namespace),) if namespace else ()
        with Caller(self.address, bearer(token), *named) as caller:
            return caller.call(SYNC + method, request)

    def list(self, session: Session, token: str) -> str:
        """List the root in a session; how that ends."""
        return self.call("ListDirectories", encode_list(session.id, [ROOT]), token).code


def _attempts(clock: Monotonic) -> AuthThrottle:
    return AuthThrottle(burst=5, refill_seconds=10, clock=clock)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """The server of a test."""
    desk = Desk(tmp_path)
    yield desk
    desk.close()


@pytest.mark.case("K04", "H05")
def test_another_s_session_is_not_kept_alive(desk: Desk) -> None:
    """Who names another tenant's session neither uses nor ends it: it lives as long as its owner uses it."""
    session = desk.open("red")
    desk.clock.now += LIMITS.session_idle_seconds - 1
    stolen = desk.list(session, "blue")
    closed = desk.call("CloseSession", encode_close(session.id), "blue").code
    living = desk.sessions.writer("red")
    desk.clock.now += 2
    idle = desk.sessions.writer("red")
    own = desk.list(session, "red")
    used = desk.sessions.writer("red")

    assert ("UNAUTHENTICATED", "UNAUTHENTICATED") == (stolen, closed)
    assert (session, None, session) == (living, idle, used)
    assert "OK" == own


@pytest.mark.case("K04", "K06")
def test_sessions_that_are_not_there(desk: Desk) -> None:
    """Whether a session exists is told to those who may ask, and to nobody else."""
    session = desk.open("red")
    unknown = encode_list(bytes(range(16)), [ROOT])
    ends = {desk.call("ListDirectories", unknown, "green"), desk.call("ListDirectories", b"\xff", "green")}
    ends |= {desk.call("ListDirectories", encode_list(session.id, [ROOT]), token) for token in ("green", "blue")}
    known = desk.call("ListDirectories", unknown, "red")

    assert {("UNAUTHENTICATED", REFUSAL)} == {end[:2] for end in ends}
    assert 1 == len(ends)
    assert "FAILED_PRECONDITION" == known.code


@pytest.mark.case("K04", "K07")
def test_a_token_s_time_ends(desk: Desk) -> None:
    """A token stops to count at its time, while the server runs and nothing else changes."""
    session = desk.open("red")
    codes = []
    for _ in range(2):
        codes.append(desk.list(session, "red"))
        desk.clock.now += 101

    assert ["OK", "UNAUTHENTICATED"] == codes


@pytest.mark.case("K11")
def test_attempts_come_back(desk: Desk) -> None:
    """A network that failed too often is not heard, with the right token either, until an attempt has come back."""
    session = desk.open("red")
    guesses = {desk.list(session, f"guess-{number}") for number in range(8)}
    unheard = desk.list(session, "red")
    desk.clock.now += 9
    too_early = desk.list(session, "red")
    desk.clock.now += 2
    heard = [desk.list(session, "red") for _ in range(10)]

    assert {"UNAUTHENTICATED"} == guesses
    assert ("UNAUTHENTICATED", "UNAUTHENTICATED") == (unheard, too_early)
    assert ["OK"] * 10 == heard


@pytest.mark.case("K11")
def test_guesses_side_by_side(desk: Desk) -> None:
    """However many guess at a time, no more are looked at than there are attempts."""
    session = desk.open("red")
    with ThreadPoolExecutor(8) as pool:
        codes = set(pool.map(lambda number: desk.list(session, f"guess-{number}"), range(40)))

    assert {"UNAUTHENTICATED"} == codes
    assert 5 == desk.looks


def test_a_call_that_was_routed_by_another_namespace_is_refused(desk: Desk) -> None:
    """The metadata, by which a proxy chooses the server, names the namespace of the request, or the call fails."""
    request = encode_list(desk.open("red").id, [ROOT])
    same, other = (desk.call("ListDirectories", request, "red", namespace) for namespace in NAMES)

    assert "OK" == same.code
    assert ("INVALID_ARGUMENT", True) == (other.code, "different namespaces" in other.details)


def test_metadata_tells_a_stranger_nothing(desk: Desk) -> None:
    """Who may not use a namespace gets the one answer, whatever the metadata names."""
    request = encode_list(desk.open("red").id, [ROOT])
    answers = [desk.call("ListDirectories", request, "blue", namespace) for namespace in NAMES]

    assert ["UNAUTHENTICATED"] * 2 == [answer.code for answer in answers]
