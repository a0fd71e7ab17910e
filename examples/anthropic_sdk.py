"""The official `anthropic` package against this server: messages, streams, a count, an error.

Reads FATHOM_BASE_URL and FATHOM_API_KEY, prints one line a step, and exits 0 only if every
step held.
"""

import json
import os

import anthropic

client = anthropic.Anthropic(
    base_url=os.environ["FATHOM_BASE_URL"].rstrip("/") + "/anthropic",
    api_key=os.environ["FATHOM_API_KEY"],
    # The first failure shows, instead of the success of a retry.
    max_retries=0,
)
MODEL = "deepseek-chat"
MESSAGES = [{"role": "user", "content": "Say hello."}]
ENDS = ("end_turn", "max_tokens")


def message():
    answer = client.messages.create(
        model=MODEL, max_tokens=16, system="You are brief.", messages=MESSAGES
    )
    assert answer.type == "message" and answer.role == "assistant", f"got {answer}"
    assert answer.model == MODEL, f"asked {MODEL}, and {answer.model} answers"
    assert answer.content[0].type == "text" and answer.content[0].text, "the answer holds no text"
    assert answer.stop_reason in ENDS, f"stopped for {answer.stop_reason!r}"
    assert answer._request_id, "the answer names no request"
    check_usage(answer.usage, 16)
    return f"{answer.content[0].text!r} ({answer.usage.output_tokens} tokens)"


def message_stream():
    with client.messages.stream(model=MODEL, max_tokens=16, messages=MESSAGES) as stream:
        text = "".join(stream.text_stream)
        whole = stream.get_final_message()
    assert text == whole.content[0].text, "the pieces are not the whole"
    assert whole.stop_reason in ENDS, f"stopped for {whole.stop_reason!r}"
    check_usage(whole.usage, 16)
    return f"{text!r} ({whole.usage.output_tokens} tokens)"


def raw_events():
    events = client.messages.create(model=MODEL, max_tokens=8, messages=MESSAGES, stream=True)
    types = [event.type for event in events]
    assert types[0] == "message_start" and types[-2:] == ["message_delta", "message_stop"], types
    assert types[1] == "content_block_start" and types[-3] == "content_block_stop", types
    return f"{len(types)} events"


def stop_sequence():
    ask = {"model": MODEL, "max_tokens": 16, "messages": MESSAGES, "extra_body": {"temperature": 0}}
    whole = client.messages.create(**ask).content[0].text
    stop = whole[3:7]
    answer = client.messages.create(**ask, stop_sequences=["no such text", stop])
    text = "".join(block.text for block in answer.content)
    assert text == whole[: whole.find(stop)], f"{whole!r} was stopped at {text!r}, by {stop!r}"
    assert answer.stop_reason == "stop_sequence", f"stopped for {answer.stop_reason!r}"
    assert answer.stop_sequence == stop, f"stopped by {answer.stop_sequence!r}, not {stop!r}"
    return f"{text!r}, by {stop!r}"


def count_tokens():
    counted = client.messages.count_tokens(model=MODEL, messages=MESSAGES).input_tokens
    usage = client.messages.create(model=MODEL, max_tokens=1, messages=MESSAGES).usage
    asked = usage.input_tokens + usage.cache_read_input_tokens
    assert counted == asked, f"{counted} tokens were counted, and the prompt had {asked}"
    return f"{counted} tokens"


def json_schema():
    schema = {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Ulm"]}, "large": {"type": "boolean"}},
        "required": ["city", "large"],
        "additionalProperties": False,
    }
    answer = client.messages.create(
        model=MODEL,
        max_tokens=64,
        messages=[{"role": "user", "content": "Name a city."}],
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )
    city = json.loads(answer.content[0].text)
    assert city["city"] in ("Paris", "Ulm") and isinstance(city["large"], bool), f"got {city}"
    return answer.content[0].text


def stopped_in_the_middle():
    with client.messages.stream(model=MODEL, max_tokens=200, messages=MESSAGES) as stream:
        for piece in stream.text_stream:
            return f"after {piece!r}"
    raise AssertionError("the stream held no text")


def unknown_model():
    try:
        client.messages.create(model="no-such-model", max_tokens=1, messages=MESSAGES)
    except anthropic.NotFoundError as error:
        assert error.body["error"]["type"] == "not_found_error", f"got {error.body}"
        assert error.request_id == error.body["request_id"], "the error names another request"
        return f"{error.status_code}, request {error.request_id}"
    raise AssertionError("a model that does not exist answered")


def check_usage(usage, limit):
    asked = usage.input_tokens + usage.cache_read_input_tokens
    assert asked > 0, "the prompt counts no token"
    assert 0 < usage.output_tokens <= limit, f"{usage.output_tokens} tokens, {limit} asked for"


if __name__ == "__main__":
    for step in (
        message,
        message_stream,
        raw_events,
        stop_sequence,
        count_tokens,
        json_schema,
        stopped_in_the_middle,
        unknown_model,
    ):
        print(f"{step.__name__}: {step()}")
