"""The official `openai` package against this server: models, chats, completions, an error.

Reads FATHOM_BASE_URL and FATHOM_API_KEY, prints one line a step, and exits 0 only if every
step held.
"""

import json
import os

import openai

client = openai.OpenAI(
    base_url=os.environ["FATHOM_BASE_URL"].rstrip("/") + "/v1",
    api_key=os.environ["FATHOM_API_KEY"],
    # The first failure shows, instead of the success of a retry.
    max_retries=0,
)
MODEL = "deepseek-chat"
MESSAGES = [{"role": "user", "content": "Say hello."}]
FINISHED = ("stop", "length")


def list_models():
    names = [model.id for model in client.models.list()]
    assert MODEL in names, f"{MODEL} is not among the models: {names}"
    return ", ".join(names)


def retrieve_model():
    model = client.models.retrieve(MODEL)
    assert model.id == MODEL, f"asked for {MODEL}, got {model.id}"
    assert model.object == "model", f"a model calls itself {model.object!r}"
    return f"{model.id}, owned by {model.owned_by}"


def chat():
    answer = client.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=16)
    choice, usage = answer.choices[0], answer.usage
    assert answer.object == "chat.completion", f"the answer calls itself {answer.object!r}"
    assert choice.message.role == "assistant", f"the answer is from {choice.message.role!r}"
    assert choice.message.content, "the answer holds no text"
    assert choice.finish_reason in FINISHED, f"finished for {choice.finish_reason!r}"
    check_usage(usage, 16)
    return f"{choice.message.content!r} ({usage.total_tokens} tokens)"


def chat_stream():
    stream = client.chat.completions.create(
        model=MODEL,
        messages=MESSAGES,
        max_tokens=16,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert len({chunk.id for chunk in chunks}) == 1, "the chunks of one answer differ in their id"
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    text = "".join(choice.delta.content or "" for choice in choices)
    reasons = [choice.finish_reason for choice in choices if choice.finish_reason]
    assert text, "the stream held no text"
    assert len(reasons) == 1 and reasons[0] in FINISHED, f"finished for {reasons}"
    assert not any(chunk.usage for chunk in chunks[:-1]), "usage came before the last chunk"
    check_usage(chunks[-1].usage, 16)
    return f"{text!r} ({len(chunks)} chunks, {chunks[-1].usage.total_tokens} tokens)"


def completion():
    answer = client.completions.create(model=MODEL, prompt="Once upon a time", max_tokens=16)
    choice = answer.choices[0]
    assert answer.object == "text_completion", f"the answer calls itself {answer.object!r}"
    assert choice.text, "the answer holds no text"
    assert choice.finish_reason in FINISHED, f"finished for {choice.finish_reason!r}"
    check_usage(answer.usage, 16)
    return repr(choice.text)


def several_answers():
    answer = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_tokens=8, n=2, seed=7, temperature=1
    )
    assert [choice.index for choice in answer.choices] == [0, 1], "there are not two choices"
    once = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_tokens=8, seed=7, temperature=1
    )
    assert answer.usage.prompt_tokens == once.usage.prompt_tokens, "the prompt counts twice"
    check_usage(answer.usage, 2 * 8)
    return " / ".join(repr(choice.message.content) for choice in answer.choices)


def several_prompts():
    prompts = ["Once upon a time", "The capital of France is"]
    chunks = client.completions.create(model=MODEL, prompt=prompts, max_tokens=8, stream=True)
    texts = ["", ""]
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    assert all(texts), f"a prompt was not continued: {texts}"
    return " / ".join(map(repr, texts))


def logprobs():
    answer = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_tokens=4, temperature=0, logprobs=True, top_logprobs=3
    )
    tokens = answer.choices[0].logprobs.content
    assert tokens, "no token has a probability"
    for token in tokens:
        assert token.logprob <= 0, f"{token.token!r} is more than certain"
        assert len(token.top_logprobs) == 3, f"{len(token.top_logprobs)} alternatives, not 3"
    text = b"".join(bytes(token.bytes) for token in tokens).decode(errors="replace")
    assert answer.choices[0].message.content in text, "the tokens are not those of the text"
    return ", ".join(f"{token.token!r} {token.logprob:.2f}" for token in tokens)


def json_schema():
    schema = {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Ulm"]}, "large": {"type": "boolean"}},
        "required": ["city", "large"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Name a city."}],
        max_tokens=64,
        response_format={"type": "json_schema", "json_schema": {"name": "city", "schema": schema}},
    )
    city = json.loads(answer.choices[0].message.content)
    assert city["city"] in ("Paris", "Ulm") and isinstance(city["large"], bool), f"got {city}"
    return answer.choices[0].message.content


def unknown_model():
    try:
        client.chat.completions.create(model="no-such-model", messages=MESSAGES, max_tokens=1)
    except openai.NotFoundError as error:
        assert error.code == "model_not_found", f"the error's code is {error.code!r}"
        assert error.request_id, "the error names no request"
        return f"{error.status_code} {error.code}, request {error.request_id}"
    raise AssertionError("a model that does not exist answered")


def check_usage(usage, limit):
    assert usage, "the answer holds no usage"
    assert usage.prompt_tokens > 0, "the prompt counts no token"
    assert 0 < usage.completion_tokens <= limit, f"{usage.completion_tokens} tokens, {limit} asked for"
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, f"the sum is wrong: {usage}"


if __name__ == "__main__":
    for step in (
        list_models,
        retrieve_model,
        chat,
        chat_stream,
        completion,
        several_answers,
        several_prompts,
        logprobs,
        json_schema,
        unknown_model,
    ):
        print(f"{step.__name__}: {step()}")
