# 4. WebSocket流式调用实现
#
# changed: the document lost its line breaks and indentation; they are restored throughout.
import asyncio
import websockets

# changed: added, because json.dumps and json.loads are called below.
import json
# changed: added for the exit code, the address and the credential.
import sys
from demo import setting


async def stream_deepseek(prompt, api_key):
    # changed: the base URL, because this server takes the place of wss://api.deepseek.com;
    # http://… becomes ws://… and https://… becomes wss://….
    uri = f"{setting('FATHOM_BASE_URL').replace('http', 'ws', 1)}/v1/stream"
    async with websockets.connect(uri) as websocket:
        auth_msg = {
            "type": "auth",
            "token": f"Bearer {api_key}"
        }
        await websocket.send(json.dumps(auth_msg))
        request = {
            "type": "request",
            "model": "deepseek-chat",
            "prompt": prompt
        }
        await websocket.send(json.dumps(request))
        async for message in websocket:
            data = json.loads(message)
            if data.get("type") == "response":
                print(data["content"], end="", flush=True)
            # changed: added, because a failed generation must not look like a short one.
            if data.get("type") == "error":
                sys.exit(f"error: {message}")


# changed: added, because the document never calls the function.
if __name__ == "__main__":
    asyncio.run(stream_deepseek("Once upon a time", setting("FATHOM_API_KEY")))
    # changed: added, because the text itself does not end its line.
    print()
