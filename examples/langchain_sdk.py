"""LangChain's `ChatDeepSeek` against this server: an answer whole, and as a stream.

Reads FATHOM_BASE_URL and FATHOM_API_KEY.
"""

import os

from langchain_deepseek import ChatDeepSeek

if __name__ == "__main__":
    model = ChatDeepSeek(
        model="deepseek-chat",
        base_url=os.environ["FATHOM_BASE_URL"] + "/v1",
        api_key=os.environ["FATHOM_API_KEY"],
        max_tokens=64,
    )
    print("whole:", model.invoke("Say hello.").content)
    print("stream:", end=" ")
    for piece in model.stream([("system", "Answer in one sentence."), ("human", "What is a lighthouse?")]):
        print(piece.content, end="", flush=True)
    print()
