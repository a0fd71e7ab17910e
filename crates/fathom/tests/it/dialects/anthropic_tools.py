"""The `anthropic` package: functions, thoughts, errors, and a stream that is given up.

`deepseek-code` calls functions, `deepseek-math` thinks, `deepseek-chat` is slow and has room for
one answer.
"""

import asyncio
import os

import anthropic

BASE_URL = os.environ["FATHOM_BASE_URL"] + "/anthropic"
KEY = os.environ["FATHOM_API_KEY"]
client = anthropic.Anthropic(base_url=BASE_URL, api_key=KEY, max_retries=0)
ASK = [{"role": "user", "content": "What time is it?"}]
TOOL = {
    "name": "get_time",
    "description": "Tells the time.",
    "input_schema": {
        "type": "object",
        "properties": {"zone": {"enum": ["UTC", "CET"]}},
        "required": ["zone"],
        "additionalProperties": False,
    },
    "cache_control": {"type": "ephemeral"},
}
CALL = {
    "model": "deepseek-code",
    "max_tokens": 64,
    "messages": ASK,
    "tools": [TOOL],
    "tool_choice": {"type": "tool", "name": "get_time", "disable_parallel_tool_use": True},
}


def a_call():
    answer = client.messages.create(**CALL)
    check_call(answer)
    return answer.content[-1].input


def a_call_in_a_stream():
    with client.messages.stream(**CALL) as stream:
        deltas = [event.type for event in stream].count("input_json")
        answer = stream.get_final_message()
    check_call(answer)
    assert deltas > 0, "no piece of the arguments came"
    return answer.content[-1].input


def the_result_of_a_call():
    called = client.messages.create(**CALL)
    use = called.content[-1]
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "12:00", "is_error": False}
    talk = ASK + [
        {"role": "assistant", "content": called.content},
        {"role": "user", "content": [result]},
    ]
    answer = client.messages.create(
        model="deepseek-code", max_tokens=8, messages=talk, tools=[TOOL], tool_choice={"type": "none"}
    )
    assert answer.content[0].type == "text", f"got {answer.content}"
    more = client.messages.count_tokens(model="deepseek-code", messages=talk).input_tokens
    once = client.messages.count_tokens(model="deepseek-code", messages=ASK).input_tokens
    with_tools = client.messages.count_tokens(model="deepseek-code", messages=ASK, tools=[TOOL])
    assert once < more and once < with_tools.input_tokens, "what is sent does not count"
    return answer.content[0].text


def a_thought():
    ask = {"model": "deepseek-math", "max_tokens": 16, "messages": ASK}
    answer = client.messages.create(**ask, thinking={"type": "adaptive"})
    thought = answer.content[0]
    assert thought.type == "thinking" and thought.thinking and thought.signature, f"got {answer}"
    with client.messages.stream(**ask) as stream:
        streamed = stream.get_final_message().content[0]
    assert streamed.type == "thinking" and streamed.thinking, f"got {streamed}"
    assert streamed.signature, "the thought has no signature"
    back = [{"role": "assistant", "content": answer.content}, {"role": "user", "content": "And?"}]
    client.messages.create(**{**ask, "messages": ASK + back})
    return thought.thinking


def a_key_in_its_own_header():
    headers = {"X-Api-Key": KEY, "Authorization": anthropic.Omit()}
    other = anthropic.Anthropic(base_url=BASE_URL, api_key="unused", max_retries=0)
    counted = other.messages.count_tokens(
        model="deepseek-code", messages=ASK, extra_headers=headers
    )
    try:
        other.messages.count_tokens(
            model="deepseek-code", messages=ASK, extra_headers={"X-Api-Key": KEY}
        )
    except anthropic.AuthenticationError as error:
        assert error.body["error"]["type"] == "authentication_error", error.body
        return counted.input_tokens
    raise AssertionError("two different credentials were one")


def what_is_refused():
    for fields in ({"container": "c"}, {"temperature": 1.5}, {"mcp_servers": [{"url": "u"}]}):
        try:
            client.messages.create(
                model="deepseek-code", max_tokens=1, messages=ASK, extra_body=fields
            )
        except anthropic.BadRequestError as error:
            message = error.body["error"]["message"]
            assert list(fields)[0] in message, message
            continue
        raise AssertionError(f"{fields} were taken")
    return "all of it"


async def a_stream_that_is_given_up():
    """The second request finds room only if the first one has ended."""
    async with anthropic.AsyncAnthropic(base_url=BASE_URL, api_key=KEY, max_retries=0) as client:
        ask = {"model": "deepseek-chat", "max_tokens": 100_000, "messages": ASK}
        async with client.messages.stream(**ask) as stream:
            async for _ in stream.text_stream:
                break
            try:
                await client.messages.create(**{**ask, "max_tokens": 1})
            except anthropic.OverloadedError as error:
                assert error.status_code == 529, error.status_code
            else:
                raise AssertionError("there was room for two")
        for _ in range(100):
            try:
                answer = await client.messages.create(**{**ask, "max_tokens": 1})
                return answer.stop_reason
            except anthropic.OverloadedError:
                await asyncio.sleep(0.1)
    raise AssertionError("the first answer goes on")


def check_call(answer):
    assert answer.stop_reason == "tool_use", f"stopped for {answer.stop_reason!r}"
    use = answer.content[-1]
    assert use.type == "tool_use" and use.name == "get_time" and use.id, f"got {use}"
    assert use.input["zone"] in ("UTC", "CET"), f"got {use.input}"


if __name__ == "__main__":
    for step in (
        a_call,
        a_call_in_a_stream,
        the_result_of_a_call,
        a_thought,
        a_key_in_its_own_header,
        what_is_refused,
        lambda: asyncio.run(a_stream_that_is_given_up()),
    ):
        print(f"{step.__name__}: {step()}")
