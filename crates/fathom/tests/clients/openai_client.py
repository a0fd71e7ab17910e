"""The official `openai` package, in both its forms, against a server as `clients.rs` makes it.

Reads FATHOM_BASE_URL and FATHOM_API_KEY, and prints `ok` if everything held.
"""

import asyncio
import os
import time
from typing import Literal

import openai
from pydantic import BaseModel

SERVER = {"base_url": os.environ["FATHOM_BASE_URL"] + "/v1", "api_key": os.environ["FATHOM_API_KEY"]}
client = openai.OpenAI(**SERVER, max_retries=0)
chats = client.chat.completions

# Words from a formula; a model that thinks and calls functions; the real weights.
WORDS, THINKER, WEIGHTS = "deepseek-chat", "deepseek-reasoner", "deepseek-code"
FLAKY, SLOW = "flaky-openai-python", "slow-openai-python"
MESSAGES = [
    {"role": "system", "content": "Answer in one word."},
    {"role": "user", "content": "Where is the minster?"},
    {"role": "assistant", "content": "Ulm."},
    {"role": "user", "content": "And the tower?"},
]


class Weather(BaseModel):
    """The weather in a city."""

    city: str


class City(BaseModel):
    name: Literal["Paris", "Ulm"]
    large: bool


def models():
    names = [model.id for model in client.models.list()]
    assert {WORDS, THINKER, WEIGHTS} <= set(names), names
    assert client.models.retrieve(WORDS).id == WORDS


def chat():
    once = chats.create(model=WORDS, messages=MESSAGES, max_tokens=8, seed=1)
    text = once.choices[0].message.content
    assert len(text.split()) == 8 and once.choices[0].finish_reason == "length", once
    assert once.usage.total_tokens == once.usage.prompt_tokens + 8, once.usage
    shorter = chats.create(model=WORDS, messages=MESSAGES[-1:], max_tokens=8, seed=1)
    assert shorter.usage.prompt_tokens < once.usage.prompt_tokens, "the turns before are not read"

    ask = {"model": WORDS, "messages": MESSAGES, "max_tokens": 8, "seed": 1, "stream": True}
    plain = list(chats.create(**ask))
    assert not any(chunk.usage for chunk in plain), "nobody asked for the counts"
    counted = list(chats.create(**ask, stream_options={"include_usage": True}))
    assert counted[-1].usage == once.usage and not counted[-1].choices, counted[-1]
    for chunks in (plain, counted[:-1]):
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text
        reasons = [chunk.choices[0].finish_reason for chunk in chunks]
        assert reasons == [None] * (len(chunks) - 1) + ["length"], reasons
        assert len({chunk.id for chunk in chunks}) == 1


def several_answers_and_their_probabilities():
    ask = {"model": WORDS, "messages": MESSAGES, "max_tokens": 4, "n": 2}
    ask |= {"logprobs": True, "top_logprobs": 3}
    whole = chats.create(**ask)
    texts = ["", ""]
    for chunk in chats.create(**ask, stream=True):
        choice = chunk.choices[0]
        for token in choice.logprobs.content if choice.logprobs else ():
            assert token.logprob <= 0 and len(token.top_logprobs) == 3, token
            texts[choice.index] += token.token
    for choice, text in zip(whole.choices, texts, strict=True):
        assert "".join(token.token for token in choice.logprobs.content) == choice.message.content
        assert len(text.split()) == 4, text


def functions():
    tools = [openai.pydantic_function_tool(Weather)]
    ask = {"model": THINKER, "messages": [{"role": "user", "content": "Weather?"}], "tools": tools}
    with chats.stream(**ask) as stream:
        kinds = {event.type for event in stream}
        streamed = stream.get_final_completion().choices[0]
    assert "tool_calls.function.arguments.done" in kinds, kinds
    whole = chats.parse(**ask).choices[0]
    for choice in (whole, streamed):
        calls = choice.message.tool_calls
        assert choice.finish_reason == "tool_calls", choice
        cities = [call.function.parsed_arguments for call in calls]
        assert cities == [Weather(city="Ulm"), Weather(city="Paris")], cities
        assert choice.message.reasoning_content == "I have to look that up.", choice
    assert [call.id for call in calls] == [call.id for call in whole.message.tool_calls]

    turns = [*ask["messages"], whole.message.model_dump(exclude_none=True)]
    for call in calls:
        turns.append({"role": "tool", "tool_call_id": call.id, "content": call.function.arguments})
    answer = chats.create(model=THINKER, messages=turns, tools=tools)
    assert answer.choices[0].message.content == '{"city": "Ulm"} and {"city": "Paris"}', answer
    named = {"type": "function", "function": {"name": "Weather"}}
    for options in ({"parallel_tool_calls": False}, {"tool_choice": named}):
        one = chats.create(**ask, **options)
        assert len(one.choices[0].message.tool_calls) == 1, one


def thoughts():
    ask = {"model": THINKER, "messages": [{"role": "user", "content": "What is two and two?"}]}
    whole = chats.create(**ask)
    message = whole.choices[0].message
    assert (message.reasoning_content, message.content) == ("Two and two, that is easy.", "It is four.")
    assert whole.usage.completion_tokens_details.reasoning_tokens == 5, whole.usage
    assert whole.usage.prompt_tokens_details.cached_tokens == whole.usage.prompt_cache_hit_tokens == 16
    thought = said = ""
    for chunk in chats.create(**ask, stream=True):
        piece = getattr(chunk.choices[0].delta, "reasoning_content", None) or ""
        assert not (piece and said), "a thought after the text"
        thought += piece
        said += chunk.choices[0].delta.content or ""
    assert (thought, said) == (message.reasoning_content, message.content)


def schema():
    ask = {"model": WEIGHTS, "messages": [{"role": "user", "content": "Name a city."}], "max_tokens": 64}
    whole = chats.parse(**ask, response_format=City)
    assert isinstance(whole.choices[0].message.parsed, City), whole
    with chats.stream(**ask, response_format=City) as stream:
        final = stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, City), final


def embeddings():
    # The package asks for base64 unless it is told otherwise.
    ask = {"model": WORDS, "input": ["a river", "a bridge"]}
    decoded = client.embeddings.create(**ask)
    plain = client.embeddings.create(**ask, encoding_format="float")
    for one, other in zip(decoded.data, plain.data, strict=True):
        assert len(one.embedding) == 64
        assert all(abs(a - b) < 1e-6 for a, b in zip(one.embedding, other.embedding, strict=True))


def errors():
    ask = {"model": WORDS, "messages": MESSAGES, "max_tokens": 4}
    stranger = client.with_options(api_key="sk-wrong")
    for stream in (False, True):
        for kind, status, param, who, wrong in (
            (openai.AuthenticationError, 401, None, stranger, {}),
            (openai.NotFoundError, 404, "model", client, {"model": "nobody"}),
            (openai.BadRequestError, 400, "temperature", client, {"temperature": 9}),
        ):
            try:
                who.chat.completions.create(**(ask | wrong), stream=stream)
            except kind as error:
                assert (error.status_code, error.param) == (status, param), error
                assert error.request_id, "the error names no request"
            else:
                raise AssertionError(f"no {kind.__name__}")
    breaks = {"sim": {"kind": "fail", "after": 2}}
    stream = chats.create(**ask, stream=True, extra_body=breaks)
    text = ""
    try:
        for chunk in stream:
            text += chunk.choices[0].delta.content or ""
    except openai.APIError as error:
        assert error.code == "worker_failed" and len(text.split()) == 2, (error, text)
    else:
        raise AssertionError("half an answer passed for a whole one")


def retries():
    """For every second request this model is full: 503, and come again in a second."""
    patient = client.with_options(max_retries=1).chat.completions.with_raw_response
    begun = time.monotonic()
    for retries in (0, 1):
        answer = patient.create(model=FLAKY, messages=MESSAGES)
        assert answer.retries_taken == retries, answer.retries_taken
        assert answer.parse().choices[0].message.content
    assert time.monotonic() - begun >= 1, "it did not wait as long as the server asked it to"


def leaves():
    """A model with one place, and a minute from word to word: whoever comes next waits in vain
    unless the one before has left."""
    ask = {"model": SLOW, "messages": MESSAGES}
    with chats.create(**ask, stream=True) as stream:
        while not next(stream).choices[0].delta.content:
            pass
    chats.create(**ask, max_tokens=1)


async def leaves_while_it_waits():
    """For the rest of an answer, and for its turn: whoever stays in the line has the place next."""
    async with openai.AsyncOpenAI(**SERVER, max_retries=0) as client:
        ask = {"model": SLOW, "messages": MESSAGES}

        async def give_up():
            try:
                await asyncio.wait_for(client.chat.completions.create(**ask), 0.5)
            except TimeoutError:
                return
            raise AssertionError("an answer of half an hour came")

        await give_up()
        async with await client.chat.completions.create(**ask, stream=True) as running:
            while not (await anext(running)).choices[0].delta.content:
                pass
            await give_up()
        stream = await client.chat.completions.create(**ask, max_tokens=1, stream=True)
        assert [chunk async for chunk in stream][-1].choices[0].finish_reason == "length"


if __name__ == "__main__":
    for step in (
        models,
        chat,
        several_answers_and_their_probabilities,
        functions,
        thoughts,
        schema,
        embeddings,
        errors,
        retries,
        leaves,
    ):
        step()
    asyncio.run(leaves_while_it_waits())
    print("ok")
