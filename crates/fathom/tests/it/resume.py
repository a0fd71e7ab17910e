"""OpenAI's SDK and streams that may be taken up again: it skips the signs of life in them, although
its decoder takes a blank line for an event once it has seen an id; and it reads the rest of a stream
that broke.

Reads FATHOM_BASE_URL and FATHOM_API_KEY. The server gives signs of life between any two words.
"""

import os

import openai

BASE_URL = os.environ["FATHOM_BASE_URL"].rstrip("/")
KEY = os.environ["FATHOM_API_KEY"]
BODY = {"model": "deepseek-chat", "messages": [{"role": "user", "content": "Say hello."}]}
client = openai.OpenAI(base_url=BASE_URL + "/v1", api_key=KEY, max_retries=0)


def text(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def begun():
    asked = {"x-fathom-resume": "true"}
    raw = client.chat.completions.with_raw_response.create(**BODY, stream=True, extra_headers=asked)
    assert raw.headers["x-fathom-resume"] == "true", raw.headers
    return raw.headers["x-request-id"], raw.parse()


def resumed(last):
    return client.chat.completions.create(**BODY, stream=True, extra_headers={"last-event-id": last})


def comments():
    """What is sent, without the decoder."""
    asked = {"x-fathom-resume": "true"}
    create = client.chat.completions.with_streaming_response.create
    with create(**BODY, stream=True, extra_headers=asked) as answer:
        lines = list(answer.iter_lines())
    places = [at for at, line in enumerate(lines) if line == ": keep-alive"]
    assert places, lines
    assert all(lines[at + 1] for at in places), f"a blank line follows a comment: {lines}"


if __name__ == "__main__":
    comments()
    _, stream = begun()
    whole = list(stream)
    assert whole[-1].choices[0].finish_reason, "the stream is cut"
    for cut in (0, 1, 3):
        request, stream = begun()
        first = [next(stream) for _ in range(cut)]
        stream.close()
        last = f"{request}-{cut - 1}" if cut else request
        rest = list(resumed(last))
        assert len(first) + len(rest) == len(whole), (cut, first, rest)
        assert text(first + rest) == text(whole), (cut, first, rest)
    try:
        resumed("0198c0ffee-1")
        raise AssertionError("a stream that nobody has begun")
    except openai.NotFoundError as error:
        assert error.code == "not_found", error
    print("taken up")
