"""What schemathesis has to know of the server, besides its document."""

import copy
import os

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
    if path.endswith("/messages") and not body.get("max_tokens"):
        body["max_tokens"] = 8
    return body


@schemathesis.hook
def filter_case(context, case):
    """Leaves the run its own tenant and key, and the model that it asks its version."""
    parameters = set((case.path_parameters or {}).values())
    return case.method == "GET" or not parameters & (OWN | {MODEL})
