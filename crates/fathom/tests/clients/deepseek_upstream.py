"""What DeepSeek's reasoning model sends, from a script: thoughts, then calls or text, in pieces.

The server that Fathom asks for the clients beside this file. It streams as DeepSeek does, with
comments that keep the connection alive, `null` beside what is new, and the counts in the last
event. It prints its port and runs until it is killed.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CITIES = ("Ulm", "Paris")
USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 12,
    "total_tokens": 32,
    "prompt_cache_hit_tokens": 16,
    "prompt_cache_miss_tokens": 4,
    "completion_tokens_details": {"reasoning_tokens": 5},
}


def deltas(request):
    """The answer piece by piece, and why it ended; of what the request says wrongly, an error."""
    last = request["messages"][-1]
    if last["role"] == "tool":
        results = {m["tool_call_id"]: m["content"] for m in request["messages"] if m["role"] == "tool"}
        called = {c["id"] for m in request["messages"] for c in m.get("tool_calls") or ()}
        if set(results) != called:
            raise ValueError(f"calls {sorted(called)} have the results {sorted(results)}")
        return thoughts("Both are known now.") + text(" and ".join(results.values())), "stop"
    if request.get("tools") and request.get("tool_choice") != "none":
        name = request["tools"][0]["function"]["name"]
        one = isinstance(request.get("tool_choice"), dict) or request.get("parallel_tool_calls") is False
        cities = CITIES[:1] if one else CITIES
        calls = [piece for index, city in enumerate(cities) for piece in call(index, name, city)]
        return thoughts("I have to look that up.") + calls, "tool_calls"
    return thoughts("Two and two, that is easy.") + text("It is four."), "stop"


def thoughts(words):
    return [{"content": None, "reasoning_content": piece} for piece in words.partition(" ")]


def text(words):
    return [{"content": piece, "reasoning_content": None} for piece in words.partition(" ")]


def call(index, name, city):
    arguments = json.dumps({"city": city})
    begun = {"id": f"call_0{index}", "type": "function", "function": {"name": name, "arguments": ""}}
    pieces = [begun] + [{"function": {"arguments": piece}} for piece in (arguments[:5], arguments[5:])]
    return [{"tool_calls": [{"index": index, **piece}]} for piece in pieces]


class DeepSeek(BaseHTTPRequestHandler):
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        try:
            pieces, reason = deltas(request)
        except ValueError as error:
            self.answer(400, "application/json", json.dumps({"error": {"message": str(error)}}))
            return
        opening = {"role": "assistant", "content": None, "reasoning_content": ""}
        choices = [(delta, None) for delta in [opening, *pieces]]
        choices.append(({"content": "", "reasoning_content": None}, reason))
        events = [": keep-alive\n\n"]
        for delta, reason in choices:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": request["model"]}
            chunk |= {"system_fingerprint": "fp_1", "choices": [choice]}
            if reason:
                chunk["usage"] = USAGE
            events.append(f"data: {json.dumps(chunk)}\n\n")
        self.answer(200, "text/event-stream", "".join([*events, "data: [DONE]\n\n"]))

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), DeepSeek)
    print(server.server_port, flush=True)
    server.serve_forever()
