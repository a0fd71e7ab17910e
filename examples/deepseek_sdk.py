"""The official `openai` package as DeepSeek's documentation has it used: this server's address in
place of DeepSeek's, with and without `/beta`.

Reads FATHOM_BASE_URL and FATHOM_API_KEY, prints one line a step, and exits 0 only if every
step held.
"""

import os

import openai

BASE_URL = os.environ["FATHOM_BASE_URL"].rstrip("/")
MODEL = "deepseek-chat"
MESSAGES = [{"role": "user", "content": "Say hello."}]


def client_at(path, key=os.environ["FATHOM_API_KEY"]):
    # The first failure shows, instead of the success of a retry.
    return openai.OpenAI(base_url=BASE_URL + path, api_key=key, max_retries=0)


client, beta = client_at(""), client_at("/beta")


def list_models():
    names = [model.id for model in client.models.list()]
    assert MODEL in names, f"{MODEL} is not among the models: {names}"
    return ", ".join(names)


def chat():
    answer = client.chat.completions.create(
        model=MODEL,
        messages=MESSAGES,
        max_tokens=8,
        reasoning_effort="high",
        extra_body={"thinking": {"type": "enabled"}, "user_id": "someone-1"},
    )
    usage = answer.usage
    assert answer.choices[0].message.content, "the answer holds no text"
    assert usage.prompt_cache_hit_tokens + usage.prompt_cache_miss_tokens == usage.prompt_tokens
    return repr(answer.choices[0].message.content)


def chat_stream():
    stream = client.chat.completions.create(
        model=MODEL,
        messages=MESSAGES,
        max_tokens=8,
        stream=True,
        stream_options={"include_usage": True, "include_obfuscation": True},
    )
    chunks = list(stream)
    text = [chunk for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert text, "the stream held no text"
    for chunk in text:
        length = len(chunk.choices[0].delta.content.encode()) + len(chunk.obfuscation)
        assert length % 32 == 0, f"text and noise have {length} bytes"
    assert chunks[-1].usage.prompt_cache_miss_tokens is not None, "no counts of the cache"
    return f"{len(chunks)} chunks"


def json_mode():
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Name a city, as JSON."}],
        max_tokens=32,
        response_format={"type": "json_object"},
    )
    return repr(answer.choices[0].message.content)


def prefix():
    """The answer goes on in the middle of a sentence, and does not repeat what is given."""
    begun = {"role": "assistant", "content": "The capital of France is", "prefix": True}
    messages = [{"role": "user", "content": "What is the capital of France?"}, begun]
    answer = beta.chat.completions.create(
        model=MODEL, messages=messages, max_tokens=3, temperature=0
    )
    text = answer.choices[0].message.content
    assert text.startswith(" Paris"), f"the text goes on with {text!r}"
    return repr(text)


def prefix_elsewhere():
    begun = {"role": "assistant", "content": "Hello", "prefix": True}
    return refused(
        openai.UnprocessableEntityError,
        lambda: client.chat.completions.create(model=MODEL, messages=MESSAGES + [begun]),
    )


def fill_in_the_middle():
    """A model that was not trained to fill gaps says so; one that was fills them."""
    try:
        answer = beta.completions.create(
            model=MODEL, prompt="def add(a, b):", suffix="    return c", max_tokens=8
        )
        return repr(answer.choices[0].text)
    except openai.UnprocessableEntityError as error:
        assert error.body["param"] == "suffix", f"refused for {error.body}"
        return f"{error.status_code}: {error.body['message']}"


def balance():
    balance = client.get("/user/balance", cast_to=object)
    assert balance["is_available"] is True, f"got {balance}"
    return str(balance)


def unknown_model():
    return refused(
        openai.BadRequestError,
        lambda: client.chat.completions.create(model="no-such-model", messages=MESSAGES),
    )


def wrong_parameter():
    return refused(
        openai.UnprocessableEntityError,
        lambda: client.chat.completions.create(model=MODEL, messages=MESSAGES, temperature=3),
    )


def wrong_key():
    stranger = client_at("", "sk-0-wrong")
    return refused(openai.AuthenticationError, stranger.models.list)


def refused(kind, call):
    try:
        call()
    except kind as error:
        assert error.code == "invalid_request_error", f"the error's code is {error.code!r}"
        assert error.request_id, "the error names no request"
        return f"{error.status_code}, request {error.request_id}"
    raise AssertionError(f"no {kind.__name__}")


if __name__ == "__main__":
    for step in (
        list_models,
        chat,
        chat_stream,
        json_mode,
        prefix,
        prefix_elsewhere,
        fill_in_the_middle,
        balance,
        unknown_model,
        wrong_parameter,
        wrong_key,
    ):
        print(f"{step.__name__}: {step()}")
