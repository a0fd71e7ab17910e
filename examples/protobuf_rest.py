"""`requests` with Protocol Buffers as bodies, in place of JSON.

Reads FATHOM_BASE_URL and FATHOM_API_KEY, prints one line a step, and exits 0 only if every step
held.
"""

import io
import os

import requests
from google.protobuf.proto import parse_length_prefixed

import messages

completion, inference, _ = messages.load()

URL = os.environ["FATHOM_BASE_URL"].rstrip("/") + "/v1/chat/completions"
PROTOBUF = "application/x-protobuf"
session = requests.Session()
session.headers["Authorization"] = f"Bearer {os.environ['FATHOM_API_KEY']}"


def post(message, **options):
    headers = {"Content-Type": PROTOBUF} | options.pop("headers", {})
    return session.post(URL, data=message.SerializeToString(), headers=headers, **options)


def request(**fields):
    turn = inference.ChatMessage(role=inference.CHAT_ROLE_USER, content="Say hello.")
    wanted = {"model": "deepseek-chat", "messages": [turn], "max_tokens": 16} | fields
    return completion.CreateCompletionRequest(**wanted)


def whole():
    response = post(request())
    assert response.status_code == 200, response.content
    assert response.headers["Content-Type"] == PROTOBUF
    answer = completion.CreateCompletionResponse.FromString(response.content)
    assert answer.choices[0].text and answer.usage.completion_tokens > 0
    return repr(answer.choices[0].text)


def stream():
    response = post(request(stream=True), stream=True)
    assert response.headers["Content-Type"] == f"{PROTOBUF}; encoding=delimited"
    pieces = []
    # A reader of its own, because the one of `requests` waits for as much as it is asked for.
    with io.BufferedReader(Pieces(response), 1) as reader:
        while True:
            piece = parse_length_prefixed(completion.CreateCompletionResponse, reader)
            if piece is None:
                break
            assert not piece.HasField("error"), piece.error
            pieces.append(piece)
    assert len(pieces) > 1 and pieces[-1].HasField("usage")
    text = "".join(choice.text for piece in pieces for choice in piece.choices)
    return f"{len(pieces)} pieces: {text!r}"


class Pieces(io.RawIOBase):
    """The body of a response as a file, as far as it has come."""

    def __init__(self, response):
        self.chunks = response.iter_content(None)
        self.rest = b""

    def readable(self):
        return True

    def readinto(self, buffer):
        self.rest = self.rest or next(self.chunks, b"")
        count = min(len(buffer), len(self.rest))
        buffer[:count], self.rest = self.rest[:count], self.rest[count:]
        return count


def answered_in_json():
    response = post(request(), headers={"Accept": "application/json"})
    text = response.json()["choices"][0]["message"]["content"]
    assert text
    return repr(text)


def error_in_json():
    response = post(request(temperature=3))
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "temperature"
    return response.json()["error"]["message"]


def error_in_protobuf():
    response = post(request(temperature=3), headers={"Accept": PROTOBUF})
    assert response.status_code == 400
    error = completion.Error.FromString(response.content)
    assert (error.code, error.param) == ("invalid_request", "temperature"), error
    return error.message


if __name__ == "__main__":
    for step in (whole, stream, answered_in_json, error_in_json, error_in_protobuf):
        print(f"{step.__name__}: {step()}")
