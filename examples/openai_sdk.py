"""The official `openai` package against this server: models, chat, completion, an error.

Reads FATHOM_BASE_URL and FATHOM_API_KEY, prints one line a step, and exits 0 only if every
step held.
"""

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
    for step in (list_models, retrieve_model, chat, chat_stream, completion, unknown_model):
        print(f"{step.__name__}: {step()}")
