"""The `websockets` package against `/v1/stream`: several answers at a time on one socket.

Reads FATHOM_BASE_URL and FATHOM_API_KEY, prints one line a step, and exits 0 only if every
step held. The credential goes as sub-protocol, as a page in a browser would send it; a program
may as well set the header `Authorization`.
"""

import asyncio
import json
import os

import websockets

URI = os.environ["FATHOM_BASE_URL"].rstrip("/").replace("http", "ws", 1) + "/v1/stream"
PROTOCOLS = ["fathom.v1", "fathom.bearer." + os.environ["FATHOM_API_KEY"]]
MODEL = "deepseek-chat"


def chat(text, max_tokens):
    messages = [{"role": "user", "content": text}]
    return {"model": MODEL, "messages": messages, "max_tokens": max_tokens}


async def create(socket, stream_id, request):
    message = {"type": "response.create", "stream_id": stream_id, "request": request}
    await socket.send(json.dumps(message))


async def listen(socket, streams):
    """Everything up to the last message of each of these streams, by stream."""
    heard = {stream_id: [] for stream_id in streams}
    running = set(streams)
    while running:
        message = json.loads(await socket.recv())
        stream_id = message["stream_id"]
        lane = heard[stream_id]
        # A message without `seq` would be about one of ours, and end no stream.
        assert message.get("seq") == len(lane), f"out of order: {message}"
        lane.append(message)
        if message["type"] != "chunk":
            running.remove(stream_id)
    return heard


def text_of(lane):
    choices = [choice for message in lane[:-1] for choice in message["data"]["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


async def two_answers(socket):
    for stream_id in ("first", "second"):
        await create(socket, stream_id, chat("Say hello.", 16))
    heard = await listen(socket, ("first", "second"))
    for stream_id, lane in heard.items():
        done = lane[-1]
        assert done["type"] == "done", f"{stream_id} ended with {done}"
        assert text_of(lane), f"{stream_id} held no text"
        assert done["usage"]["completion_tokens"] <= 16, f"too many tokens: {done}"
    return ", ".join(f"{stream_id}: {text_of(lane)!r}" for stream_id, lane in heard.items())


async def a_completion(socket):
    await create(socket, "text", {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 8})
    lane = (await listen(socket, ["text"]))["text"]
    assert lane[0]["data"]["object"] == "text_completion", lane[0]
    return repr("".join(c["text"] for m in lane[:-1] for c in m["data"]["choices"]))


async def a_cancelled_answer(socket):
    await create(socket, "long", chat("Tell me a long story about the sea.", 150))
    first = json.loads(await socket.recv())
    assert first["type"] == "chunk" and first["seq"] == 0, first
    await socket.send(json.dumps({"type": "cancel", "stream_id": "long"}))
    while True:
        last = json.loads(await socket.recv())
        if last["type"] != "chunk":
            break
    # A fast engine may be done before the word reaches it.
    assert last["type"] in ("cancelled", "done"), last
    return f"{last['type']} after {last['usage']['completion_tokens']} tokens"


async def an_error(socket):
    await create(socket, "wrong", {**chat("Hello", 1), "model": "no-such-model"})
    refused = (await listen(socket, ["wrong"]))["wrong"][-1]
    assert refused["type"] == "error" and refused["status"] == 404, refused
    # The socket lives on.
    await two_answers(socket)
    return refused["error"]["code"]


async def main():
    async with websockets.connect(URI, subprotocols=PROTOCOLS) as socket:
        assert socket.subprotocol == "fathom.v1", f"the server chose {socket.subprotocol!r}"
        for step in (two_answers, a_completion, a_cancelled_answer, an_error):
            print(f"{step.__name__}: {await step(socket)}", flush=True)
    assert socket.close_code == 1000, f"closed with {socket.close_code}"


if __name__ == "__main__":
    asyncio.run(main())
