"""OpenAI's SDK against a server that is slow to answer: whoever waits gets signs of life, which the
SDK skips, and then the answer.

Reads FATHOM_BASE_URL and FATHOM_API_KEY. The server has room for one request at a time, which takes
more than a second, and gives signs of life several times a second.
"""

import json
import os
import threading
import urllib.request

import openai

BASE_URL = os.environ["FATHOM_BASE_URL"].rstrip("/")
KEY = os.environ["FATHOM_API_KEY"]
BODY = {"model": "deepseek-chat", "messages": [{"role": "user", "content": "Say hello."}]}


def raw(path, stream):
    """The same without an SDK: what is sent."""
    body = json.dumps(BODY | {"stream": stream}).encode()
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    request = urllib.request.Request(BASE_URL + path, body, headers)
    with urllib.request.urlopen(request) as answer:
        return answer.read().decode()


def whole(path):
    client = openai.OpenAI(base_url=BASE_URL + path, api_key=KEY, max_retries=0)
    answer = client.chat.completions.create(**BODY)
    assert answer.choices[0].message.content, "the answer holds no text"
    assert answer.usage.completion_tokens > 0, "the answer has no counts"


def streamed(path):
    client = openai.OpenAI(base_url=BASE_URL + path, api_key=KEY, max_retries=0)
    chunks = list(client.chat.completions.create(**BODY, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant", "the first chunk has no role"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks), "no text"
    assert chunks[-1].choices[0].finish_reason, "the stream is cut"


def blocked(step, *arguments):
    """Runs a step while another request has the only place."""
    first = threading.Thread(target=raw, args=("/v1/chat/completions", False))
    first.start()
    result = step(*arguments)
    first.join()
    return result


if __name__ == "__main__":
    for path in ("/v1", ""):
        blocked(whole, path)
        blocked(streamed, path)
    stream = blocked(raw, "/chat/completions", True)
    assert stream.count(": keep-alive\n\n") >= 2, f"no comments: {stream!r}"
    assert stream.endswith("data: [DONE]\n\n"), f"no end: {stream!r}"
    answer = blocked(raw, "/chat/completions", False)
    assert answer.startswith("\n\n"), f"no blank lines: {answer!r}"
    assert json.loads(answer)["choices"], "no answer after the blank lines"
    print("kept alive")
