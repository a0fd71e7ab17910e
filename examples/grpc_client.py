"""`grpcio` against this server's port for gRPC, with a client generated from `proto/`.

Reads FATHOM_API_KEY, and FATHOM_GRPC for an address other than 127.0.0.1:8081. Prints one line a
step, and exits 0 only if every step held.
"""

import os

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_status import rpc_status
from google.rpc import error_details_pb2

import messages

completion, inference, completion_grpc = messages.load()

SERVICE = "fathom.inference.v1.CompletionService"
# The path of a Unix socket, which grpcio would send as `:authority`, is none.
AUTHORITY = [("grpc.default_authority", "localhost")]
channel = grpc.insecure_channel(os.environ.get("FATHOM_GRPC", "127.0.0.1:8081"), AUTHORITY)
stub = completion_grpc.CompletionServiceStub(channel)
METADATA = (("authorization", f"Bearer {os.environ['FATHOM_API_KEY']}"),)


def request(**fields):
    turn = inference.ChatMessage(role=inference.CHAT_ROLE_USER, content="Say hello.")
    wanted = {"model": "deepseek-chat", "messages": [turn], "max_tokens": 16} | fields
    return completion.CreateCompletionRequest(**wanted)


def health():
    check = health_pb2_grpc.HealthStub(channel).Check
    status = check(health_pb2.HealthCheckRequest(service=SERVICE)).status
    assert status == health_pb2.HealthCheckResponse.SERVING, status
    return "SERVING"


def reflection():
    services = ProtoReflectionDescriptorDatabase(channel).get_services()
    assert SERVICE in services, services
    assert not any("InferenceService" in name for name in services), services
    return ", ".join(sorted(services))


def whole():
    call = stub.CreateCompletion(request(), metadata=METADATA)
    [answer] = list(call)
    metadata = dict(call.initial_metadata())
    assert answer.id == "chatcmpl-" + metadata["x-request-id"], metadata
    assert metadata["x-fathom-model"] == "deepseek-chat", metadata
    assert answer.choices[0].text and answer.usage.completion_tokens > 0
    return repr(answer.choices[0].text)


def stream():
    pieces = list(stub.CreateCompletion(request(stream=True), metadata=METADATA))
    assert len(pieces) > 1
    assert [piece.HasField("usage") for piece in pieces].index(True) == len(pieces) - 1
    text = "".join(choice.text for piece in pieces for choice in piece.choices)
    assert text
    return f"{len(pieces)} pieces: {text!r}"


def compressed():
    call = stub.CreateCompletion(request(), metadata=METADATA, compression=grpc.Compression.Gzip)
    [answer] = list(call)
    return repr(answer.choices[0].text)


def failure(*arguments, **named):
    """The status of a call that must fail."""
    try:
        list(stub.CreateCompletion(*arguments, **named))
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call succeeded")


def refused():
    error = failure(request(temperature=3), metadata=METADATA)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
    info = error_details_pb2.ErrorInfo()
    assert rpc_status.from_call(error).details[0].Unpack(info)
    assert (info.reason, info.metadata["param"]) == ("invalid_request", "temperature"), info
    return error.details()


def unknown_caller():
    error = failure(request())
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED, error
    error = failure(request(), metadata=(("authorization", "Bearer sk-nobody"),))
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED, error
    return error.details()


def deadline():
    error = failure(request(stream=True, max_tokens=4096), metadata=METADATA, timeout=0.05)
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
    return error.code().name


def cancel():
    call = stub.CreateCompletion(request(stream=True, max_tokens=4096), metadata=METADATA)
    next(call)
    call.cancel()
    try:
        for _ in call:
            pass
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.CANCELLED, error
        return error.code().name
    raise AssertionError("the call went on")


def embedding_of_a_model_without():
    wanted = completion.CreateEmbeddingRequest(
        model="deepseek-chat", input=[inference.EmbedInput(text="hello")]
    )
    try:
        answer = stub.CreateEmbedding(wanted, metadata=METADATA)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
        return error.details()
    return f"{len(answer.data[0].values)} numbers"


if __name__ == "__main__":
    for step in (
        health,
        reflection,
        whole,
        stream,
        compressed,
        refused,
        unknown_caller,
        deadline,
        cancel,
        embedding_of_a_model_without,
    ):
        print(f"{step.__name__}: {step()}")
    channel.close()
