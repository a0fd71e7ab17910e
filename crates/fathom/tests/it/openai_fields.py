"""Whether docs/wire.md names every field of OpenAI's requests: the SDK knows them all.

Takes the path of docs/wire.md, prints the number of fields, and exits 0 only if none is missing.
"""

import re
import sys

from openai.types import completion_create_params, embedding_create_params
from openai.types.chat import completion_create_params as chat_create_params
from openai.types.chat.chat_completion_stream_options_param import ChatCompletionStreamOptionsParam

TABLES = {
    "Fields of chats": chat_create_params.CompletionCreateParamsBase,
    "Fields of completions": completion_create_params.CompletionCreateParamsBase,
    "Fields of embeddings": embedding_create_params.EmbeddingCreateParams,
}

if __name__ == "__main__":
    wire = open(sys.argv[1], encoding="utf-8").read()
    count = 0
    for heading, parameters in TABLES.items():
        table = wire.split(f"### {heading}\n")[1].split("\n#")[0]
        named = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
        known = set(parameters.__annotations__)
        missing = known - named
        assert not missing, f"{heading}: docs/wire.md does not say what becomes of {sorted(missing)}"
        count += len(known)
    options = set(ChatCompletionStreamOptionsParam.__annotations__)
    assert options == {"include_usage", "include_obfuscation"}, f"new stream options: {options}"
    print(f"{count} fields")
