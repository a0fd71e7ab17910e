"""LangChain's `ChatDeepSeek` and `ChatOpenAI` against a server as `clients.rs` makes it.

Reads FATHOM_BASE_URL and FATHOM_API_KEY, and prints `ok` if everything held.
"""

import asyncio
import os
import time
from contextlib import aclosing
from typing import Literal

import httpx2
import openai
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_deepseek import ChatDeepSeek
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

SERVER = {"base_url": os.environ["FATHOM_BASE_URL"] + "/v1", "api_key": os.environ["FATHOM_API_KEY"]}
# Words from a formula; a model that thinks and calls functions; the real weights.
WORDS, THINKER, WEIGHTS = "deepseek-chat", "deepseek-reasoner", "deepseek-code"
FLAKY, SLOW = "flaky-langchain", "slow-langchain"
TURNS = [
    SystemMessage("Answer in one word."),
    HumanMessage("Where is the minster?"),
    AIMessage("Ulm."),
    HumanMessage("And the tower?"),
]


class Weather(BaseModel):
    """The weather in a city."""

    city: str


class City(BaseModel):
    """A city."""

    name: Literal["Paris", "Ulm"]
    large: bool


def deepseek(model, **options):
    return ChatDeepSeek(model=model, **{**SERVER, "max_retries": 0, "stream_usage": True, **options})


def assembled(stream):
    """The pieces as LangChain adds them up."""
    first = next(stream)
    return sum(stream, first)


def chat():
    model = deepseek(WORDS, max_tokens=8, seed=1)
    once = model.invoke(TURNS)
    assert len(once.content.split()) == 8, once
    assert once.response_metadata["finish_reason"] == "length", once.response_metadata
    streamed = assembled(model.stream(TURNS))
    assert streamed.content == once.content, streamed
    assert streamed.usage_metadata["total_tokens"] == once.usage_metadata["total_tokens"]
    two = model.batch(["Hello", "Good-bye"])
    assert two[0].content != two[1].content, two

    told = deepseek(WORDS, max_tokens=4, logprobs=True, top_logprobs=2)
    for answer in (told.invoke(TURNS), assembled(told.stream(TURNS))):
        tokens = answer.response_metadata["logprobs"]["content"]
        assert "".join(token["token"] for token in tokens) == answer.content, answer
    several = deepseek(WORDS, max_tokens=4, n=2, seed=1).generate([TURNS])
    assert len({generation.text for generation in several.generations[0]}) == 2, several


def thoughts():
    model = deepseek(THINKER)
    for answer in (model.invoke("What is two and two?"), assembled(model.stream("What is two and two?"))):
        assert answer.additional_kwargs["reasoning_content"] == "Two and two, that is easy.", answer
        assert answer.content == "It is four.", answer
        assert answer.usage_metadata["output_token_details"]["reasoning"] == 5, answer.usage_metadata
        assert answer.usage_metadata["input_token_details"]["cache_read"] == 16, answer.usage_metadata


def functions():
    model = deepseek(THINKER).bind_tools([Weather])
    ask = [HumanMessage("Weather?")]
    for answer in (model.invoke(ask), assembled(model.stream(ask))):
        assert [call["args"] for call in answer.tool_calls] == [{"city": "Ulm"}, {"city": "Paris"}], answer
        assert not answer.invalid_tool_calls, answer
        results = [ToolMessage(call["args"]["city"], tool_call_id=call["id"]) for call in answer.tool_calls]
        assert model.invoke([*ask, answer, *results]).content == "Ulm and Paris"
    one = deepseek(THINKER).bind_tools([Weather], parallel_tool_calls=False)
    assert len(one.invoke(ask).tool_calls) == 1


def schema():
    """By a function that has to be called, as DeepSeek does it, and by a JSON Schema."""
    by_function = deepseek(THINKER).with_structured_output(Weather)
    assert by_function.invoke("Weather?") == Weather(city="Ulm")
    *_, last = by_function.stream("Weather?")
    assert last == Weather(city="Ulm"), last
    model = ChatOpenAI(model=WEIGHTS, max_tokens=64, max_retries=0, **SERVER)
    by_schema = model.with_structured_output(City, method="json_schema")
    assert isinstance(by_schema.invoke("Name a city."), City)
    *_, last = by_schema.stream("Name a city.")
    assert isinstance(last, City), last


def embeddings():
    # Left to itself it would cut the texts into OpenAI's tokens, whose list it downloads.
    model = OpenAIEmbeddings(model=WORDS, check_embedding_ctx_length=False, **SERVER)
    river, bridge = model.embed_documents(["a river", "a bridge"])
    assert len(river) == 64 and river != bridge
    again = model.embed_query("a river")
    assert all(abs(one - other) < 1e-6 for one, other in zip(river, again, strict=True))


def errors():
    for stream in (False, True):
        refused(openai.AuthenticationError, None, deepseek(WORDS, api_key="sk-wrong"), stream)
        refused(openai.NotFoundError, "model", deepseek("nobody"), stream)
        refused(openai.BadRequestError, "temperature", deepseek(WORDS, temperature=9), stream)
    breaks = deepseek(WORDS, extra_body={"sim": {"kind": "fail", "after": 2}})
    text = ""
    try:
        for piece in breaks.stream(TURNS):
            text += piece.content
    except openai.APIError as error:
        assert error.code == "worker_failed" and len(text.split()) == 2, (error, text)
    else:
        raise AssertionError("half an answer passed for a whole one")


def refused(kind, param, model, stream):
    try:
        assembled(model.stream(TURNS)) if stream else model.invoke(TURNS)
    except kind as error:
        assert error.param == param, error
    else:
        raise AssertionError(f"no {kind.__name__}")


def retries():
    """For every second request this model is full: 503, and come again in a second."""
    attempts = []
    with httpx2.Client(event_hooks={"request": [attempts.append]}) as http:
        model = deepseek(FLAKY, max_retries=1, http_client=http)
        begun = time.monotonic()
        for sent in (1, 3):
            assert model.invoke(TURNS).content
            assert len(attempts) == sent, attempts
    assert time.monotonic() - begun >= 1, "it did not wait as long as the server asked it to"


def leaves():
    """A model with one place, and a minute from word to word: whoever comes next waits in vain
    unless the one before has left."""
    stream = deepseek(SLOW).stream(TURNS)
    while not next(stream).content:
        pass
    stream.close()
    assert deepseek(SLOW, max_tokens=1).invoke(TURNS).content


async def leaves_while_it_waits():
    """For the rest of an answer, and for its turn: whoever stays in the line has the place next."""
    await give_up()
    async with aclosing(deepseek(SLOW).astream(TURNS)) as running:
        while not (await anext(running)).content:
            pass
        await give_up()
    pieces = [piece.content async for piece in deepseek(SLOW, max_tokens=1).astream(TURNS)]
    assert "".join(pieces), pieces


async def give_up():
    try:
        await asyncio.wait_for(deepseek(SLOW).ainvoke(TURNS), 0.5)
    except TimeoutError:
        return
    raise AssertionError("an answer of half an hour came")


if __name__ == "__main__":
    for step in (chat, thoughts, functions, schema, embeddings, errors, retries, leaves):
        step()
    asyncio.run(leaves_while_it_waits())
    print("ok")
