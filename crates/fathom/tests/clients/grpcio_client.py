"""`grpcio` with a client generated from `proto/`, against a server as `clients.rs` makes it.

Reads FATHOM_GRPC and FATHOM_API_KEY, and prints `ok` if everything held.
"""

import json
import os
import sys
import threading
from pathlib import Path

import grpc
from google.rpc import error_details_pb2
from grpc import StatusCode
from grpc_status import rpc_status

sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "examples"))
import messages

completion, inference, completion_grpc = messages.load()

# Words from a formula; a model that thinks and calls functions; the real weights.
WORDS, THINKER, WEIGHTS = "deepseek-chat", "deepseek-reasoner", "deepseek-code"
FLAKY, BROKEN, SLOW = "flaky-grpcio", "broken-grpcio", "slow-grpcio"
METADATA = [("authorization", f"Bearer {os.environ['FATHOM_API_KEY']}")]
SERVICE = "fathom.inference.v1.CompletionService"
# grpcio does not wait as long as RetryInfo says: it knows no such thing.
RETRIES = {
    "name": [{"service": SERVICE}],
    "retryPolicy": {
        "maxAttempts": 2,
        "initialBackoff": "0.1s",
        "maxBackoff": "0.1s",
        "backoffMultiplier": 1,
        "retryableStatusCodes": ["UNAVAILABLE"],
    },
}


def channel(**options):
    # The path of a Unix socket, which grpcio would send as `:authority`, is none.
    options = [("grpc.default_authority", "localhost")] + list(options.items())
    return grpc.insecure_channel(os.environ["FATHOM_GRPC"], options)


shared = channel()
stub = completion_grpc.CompletionServiceStub(shared)


def request(model, *turns, **fields):
    turns = turns or [turn(inference.CHAT_ROLE_USER, "Where is the tower?")]
    return completion.CreateCompletionRequest(model=model, messages=turns, **fields)


def turn(role, content, **fields):
    return inference.ChatMessage(role=role, content=content, **fields)


def begin(asked, metadata=METADATA, **options):
    return stub.CreateCompletion(asked, metadata=metadata, **options)


def whole(asked):
    [answer] = begin(asked)
    [choice] = answer.choices
    assert answer.usage.completion_tokens > 0, answer
    return choice


def streamed(asked):
    """The same from its pieces: only the last one has counts."""
    asked.stream = True
    pieces = list(begin(asked))
    counted = [piece.HasField("usage") for piece in pieces]
    assert len(pieces) > 2 and counted == [False] * (len(pieces) - 1) + [True], pieces
    choice = completion.CompletionChoice()
    for new in (new for piece in pieces for new in piece.choices):
        choice.text += new.text
        choice.reasoning += new.reasoning
        choice.finish_reason = new.finish_reason or choice.finish_reason
        for piece in new.tool_calls:
            if piece.index == len(choice.tool_calls):
                choice.tool_calls.add(index=piece.index)
            call = choice.tool_calls[piece.index]
            call.id, call.name = call.id or piece.id, call.name or piece.name
            call.arguments += piece.arguments
    return choice


def chat():
    for answered in (whole, streamed):
        choice = answered(request(WORDS, max_tokens=8))
        assert len(choice.text.split()) == 8, choice
        assert choice.finish_reason == inference.FINISH_REASON_LENGTH, choice


def functions():
    parameters = json.dumps({"type": "object", "properties": {"city": {"type": "string"}}})
    tools = [inference.Function(name="weather", parameters_json=parameters)]
    asked = turn(inference.CHAT_ROLE_USER, "Weather?")
    for answered in (whole, streamed):
        choice = answered(request(THINKER, asked, tools=tools))
        assert choice.finish_reason == inference.FINISH_REASON_TOOL_CALLS, choice
        assert choice.reasoning == "I have to look that up.", choice
        calls = [
            inference.ToolCall(id=call.id, name=call.name, arguments=call.arguments)
            for call in choice.tool_calls
        ]
        cities = [json.loads(call.arguments)["city"] for call in calls]
        assert cities == ["Ulm", "Paris"] and {call.name for call in calls} == {"weather"}, calls
        turns = [asked, turn(inference.CHAT_ROLE_ASSISTANT, "", tool_calls=calls)]
        for call, city in zip(calls, cities, strict=True):
            turns.append(turn(inference.CHAT_ROLE_TOOL, f"sun in {city}", tool_call_id=call.id))
        answer = answered(request(THINKER, *turns, tools=tools))
        assert answer.text == "sun in Ulm and sun in Paris", answer
    named = {"tool_choice": inference.TOOL_CHOICE_NAMED, "tool_choice_name": "weather"}
    for options in ({"parallel_tool_calls": False}, named):
        assert len(whole(request(THINKER, asked, tools=tools, **options)).tool_calls) == 1, options


def schema():
    properties = {"name": {"enum": ["Paris", "Ulm"]}, "large": {"type": "boolean"}}
    wanted = {"type": "object", "properties": properties, "required": ["name", "large"]}
    wanted = inference.JsonSchema(
        name="city", schema_json=json.dumps(wanted | {"additionalProperties": False})
    )
    wanted = {"response_format": inference.OutputFormat(json_schema=wanted), "max_tokens": 64}
    for answered in (whole, streamed):
        asked = turn(inference.CHAT_ROLE_USER, "Name a city.")
        city = json.loads(answered(request(WEIGHTS, asked, **wanted)).text)
        assert city["name"] in ("Paris", "Ulm") and isinstance(city["large"], bool), city


def embeddings():
    texts = [inference.EmbedInput(text=text) for text in ("a river", "a bridge")]
    asked = {"model": WORDS, "input": texts}
    for fields, length in (({}, 64), ({"dimensions": 8}, 8)):
        wanted = completion.CreateEmbeddingRequest(**asked, **fields)
        answer = stub.CreateEmbedding(wanted, metadata=METADATA)
        assert [len(vector.values) for vector in answer.data] == [length, length], answer
        assert answer.data[0] != answer.data[1] and answer.prompt_tokens > 0, answer
    wrong = completion.CreateEmbeddingRequest(**asked, dimensions=65)
    status = failure(lambda: stub.CreateEmbedding(wanted, metadata=[]))
    assert status.code() == StatusCode.UNAUTHENTICATED, status
    status = failure(lambda: stub.CreateEmbedding(wrong, metadata=METADATA))
    assert status.code() == StatusCode.INVALID_ARGUMENT, status
    assert details(status)[0].metadata["param"] == "dimensions", status


def failure(call):
    """The status of a call that must fail, and does so by itself."""
    try:
        answer = call()
    except grpc.RpcError as status:
        return status
    raise AssertionError(f"the call succeeded: {answer}")


def details(status):
    found = {}
    for detail in rpc_status.from_call(status).details:
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.RetryInfo):
            if detail.Is(kind.DESCRIPTOR):
                found[kind] = kind()
                detail.Unpack(found[kind])
    return found.get(error_details_pb2.ErrorInfo), found.get(error_details_pb2.RetryInfo)


def errors():
    stranger = [("authorization", "Bearer sk-wrong")]
    for stream in (False, True):
        for wrong, metadata, code, reason, param in (
            ({}, stranger, StatusCode.UNAUTHENTICATED, "invalid_api_key", None),
            ({"model": "nobody"}, METADATA, StatusCode.NOT_FOUND, "model_not_found", "model"),
            ({"temperature": 9}, METADATA, StatusCode.INVALID_ARGUMENT, "invalid_request", "temperature"),
        ):
            asked = request(**{"model": WORDS, "stream": stream, **wrong})
            status = failure(lambda: list(begin(asked, metadata)))
            info, _ = details(status)
            assert (status.code(), info.reason) == (code, reason), status
            assert info.metadata.get("param") == param, info


def breaks():
    """This model gives up after two words, and every second time before the first."""
    for _ in range(2):
        for words in (2, 0):
            said = []
            status = failure(lambda: said.extend(begin(request(BROKEN, stream=True))))
            info, _ = details(status)
            assert (status.code(), info.reason) == (StatusCode.UNAVAILABLE, "worker_failed"), status
            text = "".join(choice.text for piece in said for choice in piece.choices)
            assert len(text.split()) == words, said
            assert not any(piece.HasField("usage") for piece in said), "half an answer looks whole"
    status = failure(lambda: list(begin(request(BROKEN))))
    assert status.code() == StatusCode.UNAVAILABLE, status


def retries():
    """For every second request this model is full: come again in a second."""
    with channel(**{"grpc.service_config": json.dumps({"methodConfig": [RETRIES]})}) as patient:
        create = completion_grpc.CompletionServiceStub(patient).CreateCompletion
        for stream in (False, True, False):
            assert list(create(request(FLAKY, stream=stream), metadata=METADATA))
    status = failure(lambda: list(begin(request(FLAKY, stream=True))))
    info, wait = details(status)
    assert (status.code(), info.reason) == (StatusCode.UNAVAILABLE, "overloaded"), status
    assert wait.retry_delay.seconds == 1, wait


def leaves():
    """A model with one place, and a minute from word to word: whoever comes next waits in vain
    unless the ones before have left, who ran and who waited. That grpcio says CANCELLED or
    DEADLINE_EXCEEDED proves nothing: it says so without the server."""
    for leave in (cancel, close_the_channel):
        with channel() as own:
            running = completion_grpc.CompletionServiceStub(own).CreateCompletion(
                request(SLOW, stream=True), metadata=METADATA
            )
            until_the_first_word(running)
            waiting = begin(request(SLOW, stream=True))
            threading.Timer(0.5, waiting.cancel).start()
            assert failure(lambda: list(waiting)).code() == StatusCode.CANCELLED
            late = failure(lambda: list(begin(request(SLOW), timeout=0.5)))
            assert late.code() == StatusCode.DEADLINE_EXCEEDED, late
            leave(running, own)
        assert len(whole(request(SLOW, max_tokens=1)).text.split()) == 1

    late = begin(request(SLOW, stream=True), timeout=2)
    until_the_first_word(late)
    status = failure(lambda: list(late))
    assert status.code() == StatusCode.DEADLINE_EXCEEDED, status
    whole(request(SLOW, max_tokens=1))


def cancel(call, _):
    call.cancel()
    assert failure(lambda: list(call)).code() == StatusCode.CANCELLED


def close_the_channel(_, channel):
    channel.close()


def until_the_first_word(call):
    while not any(choice.text for choice in next(call).choices):
        pass


if __name__ == "__main__":
    for step in (chat, functions, schema, embeddings, errors, breaks, retries, leaves):
        step()
    shared.close()
    print("ok")
