"""``ListProblems``: what a client can't sync, and why."""

from collections.abc import Iterable, Iterator, Sequence

from dirsync.limits import LIMITS
from dirsync.tree.path import RelPath, escape
from dirsync.tree.problem import Problem
from dirsync.v1 import agent_service_pb2 as pb
from dirsync.wire.parse import parse


def encode_list_problems(target: str = "") -> bytes:
    """A request to list the problems."""
    return pb.ListProblemsRequest(target=target).SerializeToString()


def decode_list_problems(raw: bytes) -> str:
    """The target whose problems are to be listed; empty for all."""
    return parse(pb.ListProblemsRequest, raw).target


def encode_problems(problems: Sequence[Problem]) -> Iterator[bytes]:
    """Problems in pages of about ``LIMITS.listing_bytes``."""
    page, size = pb.ListProblemsResponse(), 0
    for problem in problems:
        encoded = _encode_problem(problem)
        page.problems.append(encoded)
        size += encoded.ByteSize()
        if size >= LIMITS.listing_bytes:
            yield page.SerializeToString()
            page, size = pb.ListProblemsResponse(), 0
    if page.problems:
        yield page.SerializeToString()


def decode_problems(messages: Iterable[bytes]) -> Iterator[tuple[RelPath, str, str]]:
    """Path, kind and message of each problem."""
    for raw in messages:
        for problem in parse(pb.ListProblemsResponse, raw).problems:
            yield RelPath(problem.path), problem.kind, problem.message


def _encode_problem(problem: Problem) -> pb.Problem:
    return pb.Problem(
        path=problem.path, path_text=escape(problem.path), kind=problem.kind.value, message=problem.message
    )
