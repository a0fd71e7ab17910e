"""OpenAI's Responses by the `openai` package: functions, thoughts, and a stream that is given up.

`deepseek-code` calls functions, `deepseek-math` thinks, `deepseek-chat` is slow and has room for
one answer.
"""

import json
import os
import time

import openai

client = openai.OpenAI(
    base_url=os.environ["FATHOM_BASE_URL"] + "/v1",
    api_key=os.environ["FATHOM_API_KEY"],
    max_retries=0,
)
ASK = [{"role": "user", "content": "What time is it?"}]
TOOL = {
    "type": "function",
    "name": "get_time",
    "description": "Tells the time.",
    "parameters": {
        "type": "object",
        "properties": {"zone": {"enum": ["UTC", "CET"]}},
        "required": ["zone"],
        "additionalProperties": False,
    },
    "strict": True,
}
CALL = {
    "model": "deepseek-code",
    "max_output_tokens": 64,
    "input": ASK,
    "tools": [TOOL],
    "tool_choice": {"type": "function", "name": "get_time"},
    "parallel_tool_calls": False,
}


def a_call():
    answer = client.responses.create(**CALL)
    assert answer.tools[0].name == "get_time" and answer.tool_choice.name == "get_time", answer
    return check_call(answer)


def a_call_in_a_stream():
    with client.responses.stream(**CALL) as stream:
        types = [event.type for event in stream]
        answer = stream.get_final_response()
    for name in ("delta", "done"):
        assert f"response.function_call_arguments.{name}" in types, types
    return check_call(answer)


def the_result_of_a_call():
    called = client.responses.create(**CALL)
    call = called.output[-1]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "12:00"}
    answer = client.responses.create(
        model="deepseek-code",
        input=ASK + called.output + [result],
        tools=[TOOL],
        tool_choice="none",
        max_output_tokens=8,
    )
    assert answer.usage.input_tokens > called.usage.input_tokens - 200, answer.usage
    assert answer.output[-1].type == "message", f"got {answer.output}"
    return answer.output_text


def a_thought():
    ask = {"model": "deepseek-math", "max_output_tokens": 16, "input": ASK}
    answer = client.responses.create(**ask)
    thought = answer.output[0]
    assert thought.type == "reasoning" and thought.content[0].text, f"got {answer.output}"
    summary = client.responses.create(**ask, reasoning={"summary": "auto"}).output[0].summary
    assert summary[0].text, "there is no summary"
    with client.responses.stream(**ask) as stream:
        types = {event.type for event in stream}
    assert "response.reasoning_text.delta" in types, types
    talk = ASK + answer.output + [{"role": "user", "content": "And?"}]
    client.responses.create(**{**ask, "input": talk})
    return thought.content[0].text


def what_is_refused():
    for fields in ({"store": True}, {"background": True}, {"tools": [{"type": "web_search"}]}):
        try:
            client.responses.create(model="deepseek-code", input="Hi.", **fields)
        except openai.BadRequestError as error:
            assert error.param.startswith(list(fields)[0]), error.param
            continue
        raise AssertionError(f"{fields} were taken")
    return "all of it"


def a_stream_that_is_given_up():
    """The second request finds room only if the first one has ended."""
    ask = {"model": "deepseek-chat", "max_output_tokens": 100_000, "input": ASK}
    stream = client.responses.create(**ask, stream=True)
    for event in stream:
        if event.type == "response.output_text.delta":
            break
    stream.close()
    for _ in range(100):
        try:
            return client.responses.create(**{**ask, "max_output_tokens": 1}).status
        except openai.InternalServerError as error:
            assert error.status_code == 503, error.status_code
            time.sleep(0.1)
    raise AssertionError("the first answer goes on")


def check_call(answer):
    assert answer.status == "completed", f"the answer is {answer.status}"
    call = answer.output[-1]
    assert call.type == "function_call" and call.name == "get_time", f"got {call}"
    assert json.loads(call.arguments)["zone"] in ("UTC", "CET"), f"got {call.arguments}"
    return call.arguments


if __name__ == "__main__":
    for step in (
        a_call,
        a_call_in_a_stream,
        the_result_of_a_call,
        a_thought,
        what_is_refused,
        a_stream_that_is_given_up,
    ):
        print(f"{step.__name__}: {step()}")
