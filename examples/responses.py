"""OpenAI's Responses by the official `openai` package: answers, streams, a schema, errors.

Reads FATHOM_BASE_URL and FATHOM_API_KEY, prints one line a step, and exits 0 only if every
step held.
"""

import os
from typing import Literal

import openai
import pydantic

client = openai.OpenAI(
    base_url=os.environ["FATHOM_BASE_URL"].rstrip("/") + "/v1",
    api_key=os.environ["FATHOM_API_KEY"],
    # The first failure shows, instead of the success of a retry.
    max_retries=0,
)
MODEL = "deepseek-chat"
ENDS = ("completed", "incomplete")


class City(pydantic.BaseModel):
    city: Literal["Paris", "Ulm"]
    large: bool


def answer():
    answer = client.responses.create(
        model=MODEL, instructions="You are brief.", input="Say hello.", max_output_tokens=16
    )
    assert answer.object == "response" and answer.id.startswith("resp_"), f"got {answer}"
    assert answer.status in ENDS, f"the answer is {answer.status}"
    assert answer.output_text, "the answer holds no text"
    assert answer.store is False, "the answer says that it is stored"
    check_usage(answer.usage, 16)
    return f"{answer.output_text!r} ({answer.usage.total_tokens} tokens)"


def events():
    events = list(
        client.responses.create(
            model=MODEL, input="Say hello.", max_output_tokens=16, stream=True
        )
    )
    numbers = [event.sequence_number for event in events]
    assert numbers == list(range(len(events))), f"the numbers are {numbers}"
    types = [event.type for event in events]
    assert types[:2] == ["response.created", "response.in_progress"], types
    assert types[-1] in ("response.completed", "response.incomplete"), types
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == events[-1].response.output_text, "the pieces are not the whole"
    return f"{text!r} ({len(events)} events)"


def a_stream_under_a_schema():
    with client.responses.stream(
        model=MODEL, input="Name a city.", max_output_tokens=64, text_format=City
    ) as stream:
        for event in stream:
            if event.type == "response.completed":
                return repr(event.response.output_parsed)
    raise AssertionError("the stream was not completed")


def a_schema():
    answer = client.responses.parse(
        model=MODEL, input="Name a city.", max_output_tokens=64, text_format=City
    )
    assert isinstance(answer.output_parsed, City), f"got {answer.output_text!r}"
    return repr(answer.output_parsed)


def the_next_turn():
    talk = [{"role": "user", "content": "Say hello."}]
    first = client.responses.create(model=MODEL, input=talk, max_output_tokens=8)
    # Nothing is kept here, so that what was said comes along.
    talk += first.output
    talk.append({"role": "user", "content": "And goodbye."})
    second = client.responses.create(model=MODEL, input=talk, max_output_tokens=8)
    assert second.usage.input_tokens > first.usage.input_tokens, "the first turn is forgotten"
    return f"{first.output_text!r} / {second.output_text!r}"


def logprobs():
    answer = client.responses.create(
        model=MODEL,
        input="Say hello.",
        max_output_tokens=2,
        include=["message.output_text.logprobs"],
        top_logprobs=2,
    )
    tokens = answer.output[0].content[0].logprobs
    assert tokens and all(len(token.top_logprobs) == 2 for token in tokens), f"got {tokens}"
    return ", ".join(f"{token.token!r} {token.logprob:.2f}" for token in tokens)


def what_is_not_kept():
    try:
        client.responses.create(model=MODEL, input="Go on.", previous_response_id="resp_1")
    except openai.BadRequestError as error:
        assert error.param == "previous_response_id", f"{error.param!r} is at fault"
        return f"{error.status_code} {error.param}"
    raise AssertionError("an answer that was not kept was found")


def unknown_model():
    try:
        client.responses.create(model="no-such-model", input="Say hello.")
    except openai.NotFoundError as error:
        assert error.code == "model_not_found", f"the error's code is {error.code!r}"
        return f"{error.status_code} {error.code}, request {error.request_id}"
    raise AssertionError("a model that does not exist answered")


def check_usage(usage, limit):
    assert usage.input_tokens > 0, "the prompt counts no token"
    assert 0 < usage.output_tokens <= limit, f"{usage.output_tokens} tokens, {limit} asked for"
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens, f"wrong sum: {usage}"


if __name__ == "__main__":
    for step in (
        answer,
        events,
        a_schema,
        a_stream_under_a_schema,
        the_next_turn,
        logprobs,
        what_is_not_kept,
        unknown_model,
    ):
        print(f"{step.__name__}: {step()}")
