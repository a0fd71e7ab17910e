"""The official `anthropic` package, in both its forms, against a server as `clients.rs` makes it.

Reads FATHOM_BASE_URL and FATHOM_API_KEY, and prints `ok` if everything held.
"""

import asyncio
import os
import time
from typing import Literal

import anthropic
from pydantic import BaseModel

SERVER = {"base_url": os.environ["FATHOM_BASE_URL"], "api_key": os.environ["FATHOM_API_KEY"]}
client = anthropic.Anthropic(**SERVER, max_retries=0)

# Words from a formula; a model that thinks and calls functions; the real weights.
WORDS, THINKER, WEIGHTS = "deepseek-chat", "deepseek-reasoner", "deepseek-code"
FLAKY, BROKEN, SLOW = "flaky-anthropic", "broken-anthropic", "slow-anthropic"
MESSAGES = [
    {"role": "user", "content": "Where is the minster?"},
    {"role": "assistant", "content": "Ulm."},
    {"role": "user", "content": "And the tower?"},
]
WEATHER = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


class City(BaseModel):
    name: Literal["Paris", "Ulm"]
    large: bool


def chat():
    ask = {"model": WORDS, "system": "Answer in one word.", "messages": MESSAGES, "max_tokens": 8}
    with client.messages.stream(**ask) as stream:
        pieces = list(stream.text_stream)
        streamed = stream.get_final_message()
    assert len(pieces) > 1 and "".join(pieces) == streamed.content[0].text, pieces
    for answer in (client.messages.create(**ask), streamed):
        assert len(answer.content[0].text.split()) == 8, answer
        assert (answer.stop_reason, answer.usage.output_tokens) == ("max_tokens", 8), answer
    counted = client.messages.count_tokens(model=WORDS, system=ask["system"], messages=MESSAGES)
    assert counted.input_tokens == streamed.usage.input_tokens + streamed.usage.cache_read_input_tokens


def functions():
    asked = [{"role": "user", "content": "Weather?"}]
    ask = {"model": THINKER, "messages": asked, "max_tokens": 64, "tools": [WEATHER]}
    whole = client.messages.create(**ask)
    with client.messages.stream(**ask) as stream:
        kinds = [event.type for event in stream]
        streamed = stream.get_final_message()
    assert "input_json" in kinds and "thinking" in kinds, kinds
    for answer in (whole, streamed):
        assert answer.stop_reason == "tool_use", answer
        thought, *calls = answer.content
        assert thought.thinking == "I have to look that up.", answer
        assert [call.input for call in calls] == [{"city": "Ulm"}, {"city": "Paris"}], answer

        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": f"sun in {call.input['city']}"}
            for call in calls
        ]
        turns = [{"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]
        last = client.messages.create(**ask | {"messages": asked + turns}).content[-1]
        assert last.text == "sun in Ulm and sun in Paris", last
    for choice in ({"type": "auto", "disable_parallel_tool_use": True}, {"type": "tool", "name": "weather"}):
        _, *calls = client.messages.create(**ask, tool_choice=choice).content
        assert [call.input for call in calls] == [{"city": "Ulm"}], calls


def schema():
    ask = {"model": WEIGHTS, "messages": [{"role": "user", "content": "Name a city."}], "max_tokens": 64}
    whole = client.messages.parse(**ask, output_format=City)
    with client.messages.stream(**ask, output_format=City) as stream:
        pieces = list(stream.text_stream)
        streamed = stream.get_final_message()
    assert len(pieces) > 1, "the text came in one piece"
    for answer in (whole, streamed):
        assert isinstance(answer.parsed_output, City), answer


def errors():
    """What is refused has a status of its own, a stream too: none of its events has come."""
    ask = {"model": WORDS, "messages": MESSAGES, "max_tokens": 4}
    stranger = client.with_options(api_key="sk-wrong")
    for stream in (False, True):
        for kind, status, name, who, wrong in (
            (anthropic.AuthenticationError, 401, "authentication_error", stranger, {}),
            (anthropic.NotFoundError, 404, "not_found_error", client, {"model": "nobody"}),
            (anthropic.BadRequestError, 400, "invalid_request_error", client, {"max_tokens": 0}),
        ):
            error = refused(kind, lambda: who.messages.create(**(ask | wrong), stream=stream))
            assert (error.status_code, error.body["error"]["type"]) == (status, name), error
            assert error.request_id == error.body["request_id"], "the error names another request"


def breaks():
    """This model gives up after two words, and every second time before the first."""
    ask = {"model": BROKEN, "messages": MESSAGES, "max_tokens": 8}

    def plain():
        for event in client.messages.create(**ask, stream=True):
            if event.type == "content_block_delta":
                yield event.delta.text

    def helped():
        with client.messages.stream(**ask) as stream:
            yield from stream.text_stream

    for streamed in (plain, helped):
        for words in (2, 0):
            said = []
            error = refused(anthropic.APIStatusError, lambda: said.extend(streamed()))
            assert error.body["error"]["type"] == "api_error" and error.body["request_id"], error.body
            assert len("".join(said).split()) == words, said
    error = refused(anthropic.InternalServerError, lambda: client.messages.create(**ask))
    assert (error.status_code, error.body["error"]["type"]) == (502, "api_error"), error


def retries():
    """For every second request this model is full: 529, and come again in a second."""
    ask = {"model": FLAKY, "messages": MESSAGES, "max_tokens": 4}
    patient = client.with_options(max_retries=1).messages.with_raw_response
    for retries, stream in ((0, False), (1, True), (1, False)):
        begun = time.monotonic()
        answer = patient.create(**ask, stream=stream)
        assert answer.retries_taken == retries, answer.retries_taken
        assert time.monotonic() - begun >= retries, "it did not wait as long as the server asked it to"
        if stream:
            assert [event.type for event in answer.parse()][-1] == "message_stop"
        else:
            assert answer.parse().content[0].text
    for stream in (True, False):
        error = refused(anthropic.OverloadedError, lambda: client.messages.create(**ask, stream=stream))
        assert error.status_code == 529 and error.response.headers["retry-after"] == "1", error
        assert client.messages.create(**ask).content[0].text


def leaves():
    """A model with one place, and a minute from word to word: whoever comes next waits in vain
    unless the one before has left."""
    ask = {"model": SLOW, "messages": MESSAGES, "max_tokens": 30}
    with client.messages.stream(**ask) as stream:
        assert next(iter(stream.text_stream))
    client.messages.create(**ask | {"max_tokens": 1})
    impatient = client.with_options(timeout=0.5)
    refused(anthropic.APITimeoutError, lambda: impatient.messages.create(**ask))
    client.messages.create(**ask | {"max_tokens": 1})


async def leaves_while_it_waits():
    """Whoever stays in the line gets the place next, and has it for half an hour."""
    async with anthropic.AsyncAnthropic(**SERVER, max_retries=0) as client:
        ask = {"model": SLOW, "messages": MESSAGES, "max_tokens": 30}
        async with client.messages.stream(**ask) as running:
            assert await anext(aiter(running.text_stream))
            for stream in (False, True):
                try:
                    await asyncio.wait_for(client.messages.create(**ask, stream=stream), 0.5)
                except TimeoutError:
                    continue
                raise AssertionError("there was room for two")
        answer = await client.messages.create(**ask | {"max_tokens": 1})
        assert answer.stop_reason == "max_tokens", answer


def refused(kind, call):
    try:
        answer = call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} but {answer}")


if __name__ == "__main__":
    for step in (chat, functions, schema, errors, breaks, retries, leaves):
        step()
    asyncio.run(leaves_while_it_waits())
    print("ok")
