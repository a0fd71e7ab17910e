"""Random JSON Schemas, and whether answers are what they ask for.

schemas.py generate COUNT    a JSON list of schemas
schemas.py validate          reads a JSON list of [schema, text], tells what is wrong
"""

import json
import sys

import jsonschema
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis_jsonschema import from_schema

TEXTS = ["ab", "c d", "é", "\"", "x/y"]
NAMES = ["id", "name", "size", "tags", "a b"]


def record(properties, required):
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def whole(low, high):
    return {"type": "integer", "minimum": low, "maximum": high}


def kind(name):
    return {"const": name}


# Schemas of schemas, of which hypothesis-jsonschema makes instances.
LEAVES = [
    record({"type": kind("integer"), "minimum": whole(-9, 9), "maximum": whole(10, 99)}, ["type"]),
    record({"type": kind("number"), "exclusiveMinimum": whole(-9, 0), "maximum": whole(1, 9)}, ["type"]),
    record({"type": kind("integer"), "multipleOf": whole(2, 7)}, ["type", "multipleOf"]),
    record({"type": kind("string"), "minLength": whole(0, 3), "maxLength": whole(3, 12)}, ["type", "maxLength"]),
    record({"type": kind("string"), "pattern": {"enum": ["^[a-c]{2,4}$", "^[0-9]{3}-[0-9]{2}$", "^(x|yz)+$"]}}, ["type", "pattern"]),
    record({"type": kind("string"), "format": {"enum": ["date", "uuid", "ipv4", "date-time"]}}, ["type", "format"]),
    record({"enum": {"type": "array", "items": {"enum": [*TEXTS, 1, 2.5, None, True]}, "minItems": 1, "maxItems": 5}}, ["enum"]),
    record({"const": {"enum": [*TEXTS, 0, False, [1], {"a": None}]}}, ["const"]),
    record({"type": {"enum": ["boolean", "null", ["boolean", "null"], ["integer", "null"]]}}, ["type"]),
]


def larger(inner):
    several = st.lists(inner, min_size=1, max_size=3)
    names = st.lists(st.sampled_from(NAMES), unique=True, max_size=3)
    properties = st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    small = st.integers(0, 2)
    closed = st.just(False)
    made = st.fixed_dictionaries
    return st.one_of(
        made({"type": st.just("object"), "properties": properties, "required": names, "additionalProperties": closed}),
        made({"type": st.just("object"), "properties": properties, "required": names, "additionalProperties": inner}),
        made({"type": st.just("object"), "additionalProperties": inner, "minProperties": small, "maxProperties": st.just(2)}),
        made({"type": st.just("array"), "items": inner, "minItems": small, "maxItems": st.integers(2, 3)}),
        made({"type": st.just("array"), "prefixItems": several, "items": closed, "minItems": st.just(1)}),
        *(made({word: several}) for word in ["anyOf", "oneOf", "allOf"]),
    )


def generate(count):
    found = {}

    @settings(
        max_examples=count * 2,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.recursive(from_schema({"anyOf": LEAVES}), larger, max_leaves=6))
    def collect(schema):
        found.setdefault(json.dumps(schema), schema)

    collect()
    assert len(found) >= count, f"only {len(found)} schemas"
    return list(found.values())[-count:]


def wrong(schema, text):
    try:
        jsonschema.Draft202012Validator(schema).validate(json.loads(text))
    except (ValueError, jsonschema.ValidationError) as error:
        return f"{text!r} for {json.dumps(schema)}: {error}"
    return None


match sys.argv[1:]:
    case ["generate", count]:
        print(json.dumps(generate(int(count))))
    case ["validate"]:
        answers = json.load(sys.stdin)
        print(json.dumps([problem for schema, text in answers if (problem := wrong(schema, text))]))
    case _:
        sys.exit(__doc__)
