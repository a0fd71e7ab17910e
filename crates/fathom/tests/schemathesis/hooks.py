"""What schemathesis has to know of the server, besides its document."""

import copy
import json
import os

import jsonschema_rs
import schemathesis
from schemathesis import GenerationMode

# What the run calls with: whoever takes that away learns nothing more.
OWN = {"demo", os.environ["FATHOM_TEST_OWN_KEY"]}
MODEL = "deepseek-chat"


# A message is any bytes as far as the document knows.
schemathesis.serializer.alias("application/x-protobuf", "application/octet-stream")


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes most requests that fit their schema ones that are answered: few made-up ones are, since
    what holds between two fields is in no schema."""
    fits = case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE
    body = case.body
    if fits and isinstance(body, dict) and body.get("model") and len(repr(body)) % 4:
        case.body = answerable(copy.deepcopy(body), case.path)
        # There is no stream yet that could be taken up.
        (case.headers or {}).pop("last-event-id", None)


def answerable(body, path):
    """The request without what ends it before a model is asked."""
    body["model"] = MODEL
    for turn in body.get("messages") or []:
        if isinstance(turn, dict) and turn.get("role") in ("assistant", "tool"):
            turn["role"] = "user"
    if body.get("top_p") is not None:
        # Many are too small for a number of 32 bits.
        body["top_p"] = 0.5
    if "prompt" in body:
        # Each excludes others.
        for name in ("suffix", "echo", "best_of", "stream_options"):
            body.pop(name, None)
        # Absent is no stream already.
        if "stream" in body:
            body["stream"] = True
    if path.endswith("/messages") and not body.get("max_tokens"):
        body["max_tokens"] = 8
    return body


@schemathesis.hook
def filter_case(context, case):
    """Leaves the run its own tenant and key, and the model that it asks its version."""
    parameters = set((case.path_parameters or {}).values())
    return case.method == "GET" or not parameters & (OWN | {MODEL})


@schemathesis.check
class EveryEventFitsItsSchema:
    """schemathesis reads no events, since OpenAPI 3.1 has no word for them."""

    def __init__(self):
        self.seen = set()

    def after_response(self, context, response, case):
        if not response.headers.get("content-type", [""])[0].startswith("text/event-stream"):
            return
        validator = validator_of(case.operation)
        *whole, _ = response.text.split("\n\n")
        for event in whole:
            data = [line[6:] for line in event.split("\n") if line.startswith("data: ")]
            if data and data != ["[DONE]"]:
                validator.validate(json.loads("\n".join(data)))
                self.seen.add(case.operation.path)

    def after_run(self, context):
        """Those that must have streamed something did."""
        wanted = set(os.environ.get("FATHOM_TEST_STREAMS", "").split())
        assert not wanted - self.seen, f"no event of {wanted - self.seen}"


def validator_of(operation):
    """Of an event of an operation, or of the error that ends its stream."""
    document = operation.schema.raw_schema
    described = document["paths"][operation.path][operation.method.lower()]
    stream = described["responses"]["200"]["content"]["text/event-stream"]
    event = {"anyOf": [stream["x-event-schema"], {"$ref": "#/components/schemas/ErrorBody"}]}
    return jsonschema_rs.Draft202012Validator({**event, "components": document["components"]})
