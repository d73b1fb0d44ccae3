"""Does what a command line of grpcurl says, with what reflection tells, as grpcurl does. Shares no code with ours."""

import argparse
import json
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (  # type: ignore[import-untyped]
    ProtoReflectionDescriptorDatabase,
)

if TYPE_CHECKING:
    from google.protobuf.message import Message

SECONDS = 20.0


class Answer(NamedTuple):
    """What a command would print."""

    lines: list[str]
    """Names, for ``list`` and ``describe``."""
    messages: list[dict[str, Any]]
    code: str = "OK"


def run(line: str, ports: dict[int, str]) -> Answer:
    """Do what the command says, at the addresses that stand in for its ports.

    Raises:
        SystemExit: grpcurl has no such option, or it is not known here.
        KeyError: there is no such service, method or message.
        json_format.ParseError: the request has no such field.
    """
    program, *words = shlex.split(line)
    assert program == "grpcurl"
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("-plaintext", action="store_true", required=True)
    parser.add_argument("-d", dest="data", default="")
    parser.add_argument("-max-time", type=float, default=SECONDS)
    parser.add_argument("address")
    parser.add_argument("verb")
    parser.add_argument("symbol", nargs="?")
    arguments = parser.parse_args(words)
    host, _, port = arguments.address.rpartition(":")
    assert host == "127.0.0.1"
    with grpc.insecure_channel(ports[int(port)]) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        pool = descriptor_pool.DescriptorPool(database)
        match arguments.verb, arguments.symbol:
            case "list", None:
                return Answer(sorted(database.get_services()), [])
            case "list", service:
                methods = pool.FindServiceByName(service).methods
                return Answer([method.full_name for method in methods], [])
            case "describe", symbol:
                return Answer([_full_name(pool, symbol)], [])
            case name, None:
                service, _, method = name.partition("/")
                found = pool.FindServiceByName(service).FindMethodByName(method)
                return _call(channel, found, arguments.data, arguments.max_time)
            case _:
                raise KeyError(line)


def _full_name(pool: descriptor_pool.DescriptorPool, symbol: str) -> str:
    """The name of a message, a service, or a method of one."""
    owner, _, method = symbol.rpartition(".")
    try:
        return str(pool.FindServiceByName(owner).methods_by_name[method].full_name)
    except KeyError:
        pool.FindFileContainingSymbol(symbol)
        return symbol


def _call(channel: grpc.Channel, method: MethodDescriptor, data: str, seconds: float) -> Answer:
    request_type, response_type = map(message_factory.GetMessageClass, (method.input_type, method.output_type))
    request = json_format.ParseDict(json.loads(data or "{}"), request_type())
    name = f"/{method.containing_service.full_name}/{method.name}"
    coders = (request_type.SerializeToString, response_type.FromString)
    messages: list[Message] = []
    try:
        if method.server_streaming:
            messages += channel.unary_stream(name, *coders)(request, timeout=seconds)
        else:
            messages.append(channel.unary_unary(name, *coders)(request, timeout=seconds))
    except grpc.RpcError as error:
        return Answer([], [json_format.MessageToDict(message) for message in messages], error.code().name)
    return Answer([], [json_format.MessageToDict(message) for message in messages])
