# 3. RESTful API调用示例
#
# changed: the document lost its line breaks and indentation; they are restored throughout.
import requests

# changed: added for the exit code, the address and credentials, and the token.
import sys
from demo import setting
from generate_jwt import generate_jwt


def call_deepseek_rest(prompt, api_key):
    # changed: the base URL, because this server takes the place of https://api.deepseek.com.
    url = f"{setting('FATHOM_BASE_URL')}/v1/completions"
    headers = {
        "Authorization": f"Bearer {api_key}",
        "Content-Type": "application/json"
    }
    data = {
        "model": "deepseek-chat",
        "prompt": prompt,
        "max_tokens": 2048,
        "temperature": 0.7
    }
    response = requests.post(url, headers=headers, json=data)
    return response.json()


# changed: added, because the document never calls the function. The credential is the token of
# the step before, as in the document's order; an API key works in its place.
if __name__ == "__main__":
    token = generate_jwt(setting("FATHOM_CLIENT_ID"), setting("FATHOM_CLIENT_SECRET"))
    answer = call_deepseek_rest("Once upon a time", token)
    # changed: added, because an error is an answer too, and must not pass for a text.
    if "error" in answer:
        sys.exit(f"error: {answer['error']['message']}")
    print(answer["choices"][0]["text"])
