"""The `websockets` package on `/v1/stream`, against a server as `clients.rs` makes it.

Reads FATHOM_BASE_URL and FATHOM_API_KEY, and prints `ok` if everything held.
"""

import asyncio
import json
import os

import websockets

URI = os.environ["FATHOM_BASE_URL"].replace("http", "ws", 1) + "/v1/stream"
BEARER = "Bearer " + os.environ["FATHOM_API_KEY"]

# Words from a formula; a model that thinks and calls functions; the real weights.
WORDS, THINKER, WEIGHTS = "deepseek-chat", "deepseek-reasoner", "deepseek-code"
FLAKY, BROKEN, SLOW = "flaky-websockets", "broken-websockets", "slow-websockets"
SCHEMA = {
    "type": "object",
    "properties": {"name": {"enum": ["Paris", "Ulm"]}, "large": {"type": "boolean"}},
    "required": ["name", "large"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA, "strict": True}}


def connect():
    return websockets.connect(URI, additional_headers={"Authorization": BEARER})


def chat(model, text="Where is the tower?", **fields):
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


async def send(socket, type, **fields):
    await socket.send(json.dumps({"type": type, **fields}))


async def receive(socket):
    return json.loads(await socket.recv())


async def create(socket, lane, request, **fields):
    await send(socket, "response.create", stream_id=lane, request=request, **fields)


async def rest(socket, lane, seq=0):
    """The messages of a lane from this number to its last one."""
    messages = []
    while not messages or messages[-1]["type"] == "chunk":
        message = await receive(socket)
        assert (message["stream_id"], message.get("seq")) == (lane, seq + len(messages)), message
        messages.append(message)
    return messages


async def ask(socket, request):
    await create(socket, "a", request)
    return await rest(socket, "a")


async def first_word(socket, lane):
    while not text([await chunk(socket, lane)]):
        pass


async def chunk(socket, lane):
    """The next message, which is a piece of this lane."""
    message = await receive(socket)
    assert (message["type"], message["stream_id"]) == ("chunk", lane), message
    return message


def deltas(messages):
    chunks = (message["data"] for message in messages if message["type"] == "chunk")
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"]]


def text(messages):
    return "".join(delta.get("content") or "" for delta in deltas(messages))


async def answers(socket):
    *chunks, done = await ask(socket, chat(WORDS, max_tokens=8))
    assert len(chunks) > 1 and len(text(chunks).split()) == 8, chunks
    assert chunks[-1]["data"]["choices"][0]["finish_reason"] == "length", chunks[-1]
    assert done["type"] == "done" and done["usage"]["completion_tokens"] == 8, done
    assert chunks[0]["data"]["id"] == f"chatcmpl-{done['id']}", (chunks[0], done)


async def functions(socket):
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    tools = [{"type": "function", "function": {"name": "weather", "parameters": parameters}}]
    asked = chat(THINKER, "Weather?", tools=tools)
    *chunks, done = await ask(socket, asked)
    assert done["type"] == "done", done
    assert chunks[-1]["data"]["choices"][0]["finish_reason"] == "tool_calls", chunks[-1]
    thought = "".join(delta.get("reasoning_content") or "" for delta in deltas(chunks))
    assert thought == "I have to look that up.", thought
    calls = {}
    for delta in deltas(chunks):
        for piece in delta.get("tool_calls") or ():
            new = {"id": piece.get("id"), "type": "function", "function": {"arguments": ""}}
            function = calls.setdefault(piece["index"], new)["function"]
            function.setdefault("name", piece["function"].get("name"))
            function["arguments"] += piece["function"].get("arguments", "")
    cities = [json.loads(call["function"]["arguments"]) for call in calls.values()]
    assert cities == [{"city": "Ulm"}, {"city": "Paris"}], calls

    turns = [{"role": "assistant", "content": None, "tool_calls": list(calls.values())}]
    for call, city in zip(calls.values(), cities, strict=True):
        turns.append({"role": "tool", "tool_call_id": call["id"], "content": f"sun in {city['city']}"})
    messages = await ask(socket, {**asked, "messages": asked["messages"] + turns})
    assert text(messages) == "sun in Ulm and sun in Paris", messages


async def schema(socket):
    request = chat(WEIGHTS, "Name a city.", max_tokens=64, response_format=FORMAT)
    *chunks, done = await ask(socket, request)
    assert done["type"] == "done" and len(chunks) > 2, done
    city = json.loads(text(chunks))
    assert city["name"] in ("Paris", "Ulm") and isinstance(city["large"], bool), city


async def refused_requests(socket):
    """They end their lane, and neither the socket nor another one."""
    await create(socket, "slow", chat(SLOW))
    await first_word(socket, "slow")
    for wrong, status, param, code in (
        ({"model": "nobody"}, 404, "model", "model_not_found"),
        ({"temperature": 9}, 400, "temperature", "invalid_request"),
    ):
        [error] = await ask(socket, {**chat(WORDS), **wrong})
        assert (error["type"], error["status"]) == ("error", status), error
        assert (error["error"]["param"], error["error"]["code"]) == (param, code), error
    await create(socket, "slow", chat(WORDS))
    error = await receive(socket)
    assert (error["type"], error["stream_id"]) == ("error", "slow") and "seq" not in error, error
    await send(socket, "cancel", stream_id="slow")
    assert (await receive(socket))["type"] == "cancelled"
    await answers(socket)


async def bad_messages(socket):
    """Each is answered, and begins no lane; whoever goes on with them is shut out."""
    await answers(socket)
    for message in ("no JSON", b"bytes", '{"type": "unheard of"}', '{"type": "cancel"}', '["a"]'):
        await socket.send(message)
        error = await receive(socket)
        assert (error["type"], error["status"]) == ("error", 400) and "seq" not in error, error
        assert error["error"]["code"] == "invalid_request", error
    await answers(socket)
    # All at once, before the first of them is answered.
    await asyncio.gather(*(socket.send("no JSON") for _ in range(60)))
    code, reason = await closes(socket)
    assert code == 1008 and reason.startswith("too many messages"), (code, reason)


async def closes(socket):
    """Code and reason of the close, whatever comes before it."""
    try:
        async for _ in socket:
            pass
    except websockets.ConnectionClosedError:
        pass
    return socket.close_code, socket.close_reason


async def breaks(socket):
    """This model gives up after two words, and every second time before the first. The one that is
    full says when to come again."""
    *chunks, error = await ask(socket, chat(BROKEN))
    assert len(text(chunks).split()) == 2, chunks
    assert (error["type"], error["status"]) == ("error", 502), error
    assert error["error"]["code"] == "worker_failed", error
    *chunks, error = await ask(socket, chat(BROKEN))
    assert not text(chunks) and error["error"]["code"] == "worker_failed", (chunks, error)

    assert (await ask(socket, chat(FLAKY)))[-1]["type"] == "done"
    [error] = await ask(socket, chat(FLAKY))
    assert (error["status"], error["error"]["code"]) == (503, "overloaded"), error
    assert error["retry_after_ms"] == 1000, error
    assert (await ask(socket, chat(FLAKY)))[-1]["type"] == "done"


async def resumes(socket):
    request = chat(WORDS, max_tokens=64, seed=1)
    whole = await ask(socket, request)
    for heard in (0, 3, len(whole) - 1):
        begun, at, first = await broken(request, heard)
        if first:
            at["seq"] = first[-1]["seq"]
        await send(socket, "response.resume", stream_id="kept", resume_from=at)
        messages = first + await rest(socket, "kept", heard)
        assert len(messages) == len(whole) and text(messages) == text(whole), messages
        assert messages[-1]["type"] == "done" and messages[-1]["id"] == begun["id"], messages[-1]

    await send(socket, "response.resume", stream_id="kept", resume_from={"id": "0198c0ffee"})
    error = await receive(socket)
    assert (error["type"], error["error"]["param"]) == ("error", "resume_from"), error
    assert "seq" not in error, error


async def broken(request, count):
    """A lane on a connection that breaks after so many chunks: its first message, the name under
    which it may be taken up, and the chunks."""
    async with connect() as socket:
        await create(socket, "kept", request, resume=True)
        begun = await receive(socket)
        assert (begun["type"], begun["resume"], "seq" in begun) == ("created", True, False), begun
        first = [await chunk(socket, "kept") for _ in range(count)]
        socket.transport.abort()
    return begun, {"id": begun["id"]}, first


async def cancels(socket):
    """A model with one place, and a minute from word to word: whoever comes next waits in vain
    unless the ones before have left, who ran and who waited."""
    await create(socket, "runs", chat(SLOW))
    await first_word(socket, "runs")
    await create(socket, "waits", chat(SLOW))
    try:
        raise AssertionError(await asyncio.wait_for(receive(socket), 0.5))
    except TimeoutError:
        pass
    for lane, seq, tokens in (("waits", 0, None), ("runs", 2, 1)):
        await send(socket, "cancel", stream_id=lane)
        last = await receive(socket)
        assert (last["type"], last["stream_id"], last["seq"]) == ("cancelled", lane, seq), last
        assert last.get("usage", {}).get("completion_tokens") == tokens, last
    await is_free(socket)


async def cancels_what_it_has_taken_up(socket):
    """The lane of a connection that broke has its place still."""
    _, at, first = await broken(chat(SLOW), 2)
    assert text(first), first
    await send(socket, "response.resume", stream_id="kept", resume_from={**at, "seq": 1})
    await send(socket, "cancel", stream_id="kept")
    last = await receive(socket)
    assert (last["type"], last["seq"]) == ("cancelled", 2), last
    await is_free(socket)


async def leaves(socket):
    """Closing a socket, and breaking it, ends what runs on it."""
    for leave in (lambda other: other.close(), lambda other: other.transport.abort()):
        async with connect() as other:
            await create(other, "runs", chat(SLOW))
            await first_word(other, "runs")
            await create(other, "waits", chat(SLOW))
            left = leave(other)
            if left:
                await left
        await is_free(socket)


async def is_free(socket):
    [*_, done] = await ask(socket, chat(SLOW, max_tokens=1))
    assert (done["type"], done["usage"]["completion_tokens"]) == ("done", 1), done


async def strangers():
    """A wrong credential is no socket, or the end of one; in a URL it is none at all. So is a first
    message that says nothing."""
    for how, status, code in (
        ({"additional_headers": {"Authorization": "Bearer sk-wrong"}}, 401, "invalid_api_key"),
        ({"subprotocols": ["fathom.v1", "fathom.bearer.sk-wrong"]}, 401, "invalid_api_key"),
        ({"uri": f"{URI}?token=sk-wrong"}, 400, "invalid_request"),
    ):
        try:
            async with websockets.connect(**{"uri": URI, **how}):
                raise AssertionError(f"{how} opened a socket")
        except websockets.InvalidStatus as error:
            assert error.response.status_code == status, error
            assert json.loads(error.response.body)["error"]["code"] == code, error.response.body
    async with websockets.connect(URI) as socket:
        await send(socket, "auth", token="Bearer sk-wrong")
        error = await receive(socket)
        assert (error["type"], error["status"]) == ("error", 401), error
        assert await closes(socket) == (1008, "invalid_api_key")
    async with connect() as socket:
        await socket.send("no JSON")
        error = await receive(socket)
        assert (error["type"], error["status"]) == ("error", 400), error
        assert await closes(socket) == (1008, "invalid_request")


async def one_generation():
    """The form that has one answer, and closes: with which code, and for what reason."""
    for request, words, code, reason in (
        ({"model": WORDS, "prompt": "A tower", "max_tokens": 8}, 8, 1000, ""),
        (chat(WEIGHTS, "Name a city.", max_tokens=64, response_format=FORMAT), None, 1000, ""),
        (chat("nobody"), 0, 1008, "model_not_found"),
        (chat(BROKEN), 2, 1011, "worker_failed"),
        ({**chat(WORDS), "sim": {"kind": "full"}}, 0, 1013, "overloaded"),
    ):
        async with connect() as socket:
            await send(socket, "request", **request)
            messages = [await receive(socket)]
            while messages[-1]["type"] == "response":
                messages.append(await receive(socket))
            said = "".join(message["content"] for message in messages[:-1])
            assert messages[-1]["type"] == ("done" if code == 1000 else "error"), messages[-1]
            if words is None:
                assert json.loads(said)["name"] in ("Paris", "Ulm"), said
            else:
                assert len(said.split()) == words, said
            assert await closes(socket) == (code, reason), (socket.close_code, socket.close_reason)


async def too_large():
    async with connect() as socket:
        await send(socket, "response.create", stream_id="a", request=chat(WORDS, "x" * 1024 * 1024))
        code, _ = await closes(socket)
        assert code == 1009, code


async def main():
    for step in (
        answers,
        functions,
        schema,
        refused_requests,
        breaks,
        resumes,
        cancels,
        cancels_what_it_has_taken_up,
        leaves,
        bad_messages,
    ):
        async with connect() as socket:
            await step(socket)
    await strangers()
    await one_generation()
    await too_large()
    print("ok")


if __name__ == "__main__":
    asyncio.run(main())
