"""The OpenAI SDK: every kind of call is answered rightly, and every key takes its turn."""

import asyncio
import os
import threading

import openai
from openai.types.chat import (
    ChatCompletionMessageFunctionToolCallParam,
    ChatCompletionMessageParam,
    ChatCompletionToolParam,
)

import clients
from support import AT_ONCE, DEADLINE_S, EVENLY, KEYS, ROUNDS, Mock, Workspace, assert_even, at_once

MODEL = "gpt-mock"
TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}},
}


def saying(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


def test_a_chat_is_answered_with_each_key_in_turn(openai_client: openai.OpenAI, workspace: Workspace) -> None:
    for round in range(ROUNDS):
        answer = openai_client.chat.completions.create(model=MODEL, messages=saying(f"good day {round}"))
        assert answer.choices[0].message.content == f"echo: good day {round}"
        assert answer.choices[0].finish_reason == "stop"
        assert answer.model == MODEL
    assert workspace.spread("openai") == EVENLY


def test_every_answer_carries_a_receipt(openai_client: openai.OpenAI, workspace: Workspace) -> None:
    key_ids = []
    for _ in range(ROUNDS):
        answer = openai_client.chat.completions.with_raw_response.create(model=MODEL, messages=saying("hi"))
        assert answer.headers["x-claviger-scope"] == "workspace"
        assert answer.headers["x-claviger-attempts"] == "1"
        assert answer.headers["x-request-id"]
        key_ids.append(answer.headers["x-claviger-key-id"])
    workspace.assert_in_turn("openai", key_ids)
    assert workspace.spread("openai") == EVENLY


def test_a_streamed_answer_carries_a_receipt_too(openai_client: openai.OpenAI, workspace: Workspace) -> None:
    key_ids = []
    for _ in range(ROUNDS):
        with openai_client.chat.completions.create(model=MODEL, messages=saying("hi"), stream=True) as stream:
            headers = stream.response.headers
            assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "echo: hi"
        assert headers["x-claviger-scope"] == "workspace"
        assert headers["x-claviger-attempts"] == "1"
        assert headers["x-request-id"]
        key_ids.append(headers["x-claviger-key-id"])
    workspace.assert_in_turn("openai", key_ids)


def test_the_providers_headers_come_through_but_not_its_cookies(
    openai_client: openai.OpenAI, workspace: Workspace
) -> None:
    sent = {"x-ratelimit-remaining-requests": "7", "openai-processing-ms": "12", "set-cookie": "visitor=1"}
    workspace.behave("openai", headers=sent)
    answer = openai_client.chat.completions.with_raw_response.create(model=MODEL, messages=saying("hi"))
    assert answer.headers["x-ratelimit-remaining-requests"] == "7"
    assert answer.headers["openai-processing-ms"] == "12"
    assert "set-cookie" not in answer.headers


def test_a_stream_brings_every_chunk_and_the_usage(
    openai_client: openai.OpenAI, workspace: Workspace
) -> None:
    for _ in range(ROUNDS):
        stream = openai_client.chat.completions.create(
            model=MODEL,
            messages=saying("a longer sentence"),
            stream=True,
            stream_options={"include_usage": True},
            extra_headers={"x-mock-chunks": "20"},
        )
        chunks = list(stream)
        pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
        assert len([piece for piece in pieces if piece]) == 20
        assert "".join(piece or "" for piece in pieces) == "echo: a longer sentence"
        assert chunks[-1].usage and chunks[-1].usage.total_tokens > 0
    assert workspace.spread("openai") == EVENLY


def test_the_first_chunk_is_in_hand_while_the_provider_still_writes(
    openai_client: openai.OpenAI, workspace: Workspace, mock: Mock
) -> None:
    for _ in range(KEYS):
        stream = openai_client.chat.completions.create(
            model=MODEL,
            messages=saying("slowly"),
            stream=True,
            extra_headers={"x-mock-chunks": "5", "x-mock-gap-ms": "250"},
        )
        first = next(stream)
        assert mock.counts().active == 1
        text = "".join(chunk.choices[0].delta.content or "" for chunk in [first, *stream])
        assert text == "echo: slowly"
        ended = mock.wait_until(lambda counts: counts.active == 0)
        assert ended.cancelled == 0
    assert workspace.spread("openai") == [1] * KEYS


def test_the_async_client_is_served_as_well(workspace: Workspace) -> None:
    async def talk() -> None:
        async with clients.async_openai_client(workspace) as client:
            for _ in range(ROUNDS // 2):
                answer = await client.chat.completions.create(model=MODEL, messages=saying("hi"))
                assert answer.choices[0].message.content == "echo: hi"
                stream = await client.chat.completions.create(model=MODEL, messages=saying("hi"), stream=True)
                text = [chunk.choices[0].delta.content or "" async for chunk in stream]
                assert "".join(text) == "echo: hi"

    asyncio.run(talk())
    assert workspace.spread("openai") == EVENLY


def test_a_tool_is_called_and_its_result_is_answered(
    openai_client: openai.OpenAI, workspace: Workspace
) -> None:
    for _ in range(ROUNDS // 2):
        messages = saying("use the tool")
        asked = openai_client.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL])
        assert asked.choices[0].finish_reason == "tool_calls"
        (call,) = asked.choices[0].message.tool_calls or []
        assert call.type == "function"
        assert (call.function.name, call.function.arguments) == ("look_up", "{}")
        made: ChatCompletionMessageFunctionToolCallParam = {
            "id": call.id,
            "type": "function",
            "function": {"name": call.function.name, "arguments": call.function.arguments},
        }
        messages.append({"role": "assistant", "tool_calls": [made]})
        messages.append({"role": "tool", "tool_call_id": call.id, "content": "42"})
        answer = openai_client.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL])
        assert answer.choices[0].message.content == "echo: use the tool"
    assert workspace.spread("openai") == EVENLY


def test_a_tool_call_is_streamed(openai_client: openai.OpenAI, workspace: Workspace) -> None:
    for _ in range(ROUNDS):
        with openai_client.chat.completions.stream(
            model=MODEL, messages=saying("use the tool"), tools=[TOOL]
        ) as stream:
            (call,) = stream.get_final_completion().choices[0].message.tool_calls or []
        assert (call.function.name, call.function.arguments) == ("look_up", "{}")
    assert workspace.spread("openai") == EVENLY


def test_embeddings_come_back_as_vectors(openai_client: openai.OpenAI, workspace: Workspace) -> None:
    for _ in range(ROUNDS):
        answer = openai_client.embeddings.create(model=MODEL, input=["one", "two", "one"])
        one, two, again = (item.embedding for item in answer.data)
        assert len(one) == 8 and all(isinstance(value, float) for value in one)
        assert one == again != two
    assert workspace.spread("openai") == EVENLY


def test_the_responses_api_answers_whole_and_streamed(
    openai_client: openai.OpenAI, workspace: Workspace
) -> None:
    for _ in range(ROUNDS // 2):
        answer = openai_client.responses.create(model=MODEL, input="good day")
        assert (answer.status, answer.output_text) == ("completed", "echo: good day")
        events = list(openai_client.responses.create(model=MODEL, input="good day", stream=True))
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        assert text == "echo: good day"
        assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    assert workspace.spread("openai") == EVENLY


def test_a_file_of_five_megabytes_arrives_whole(openai_client: openai.OpenAI, workspace: Workspace) -> None:
    size = 5 << 20
    for _ in range(ROUNDS // 3):
        file = openai_client.files.create(file=("book.bin", os.urandom(size)), purpose="user_data")
        assert (file.bytes, file.filename) == (size, "book.bin")
        assert openai_client.files.retrieve(file.id).bytes == size
        assert openai_client.files.delete(file.id).deleted
    assert workspace.spread("openai") == EVENLY


def test_a_prompt_of_two_megabytes_arrives_whole(openai_client: openai.OpenAI, workspace: Workspace) -> None:
    size = 2 << 20
    for _ in range(ROUNDS):
        answer = openai_client.chat.completions.create(model=MODEL, messages=saying("x" * size))
        assert (answer.choices[0].message.content or "").endswith(f"x (prompt_bytes: {size})")
    assert workspace.spread("openai") == EVENLY


def test_the_models_are_listed(openai_client: openai.OpenAI, workspace: Workspace) -> None:
    for _ in range(ROUNDS):
        assert [model.id for model in openai_client.models.list()] == ["mock-model"]
    assert workspace.spread("openai") == EVENLY


def test_sixty_four_threads_ask_at_once(openai_client: openai.OpenAI, workspace: Workspace) -> None:
    def ask(number: int) -> str | None:
        answer = openai_client.chat.completions.create(model=MODEL, messages=saying(f"question {number}"))
        return answer.choices[0].message.content

    assert at_once(ask) == [f"echo: question {number}" for number in range(AT_ONCE)]
    assert_even(workspace.spread("openai"), AT_ONCE)


def test_sixty_four_tasks_ask_at_once(workspace: Workspace) -> None:
    async def ask_all() -> list[str | None]:
        async with clients.async_openai_client(workspace) as client:

            async def ask(number: int) -> str | None:
                answer = await client.chat.completions.create(
                    model=MODEL, messages=saying(f"question {number}")
                )
                return answer.choices[0].message.content

            return await asyncio.gather(*map(ask, range(AT_ONCE)))

    assert asyncio.run(ask_all()) == [f"echo: question {number}" for number in range(AT_ONCE)]
    assert_even(workspace.spread("openai"), AT_ONCE)


def test_sixty_four_streams_are_open_at_once(openai_client: openai.OpenAI, workspace: Workspace) -> None:
    all_open = threading.Barrier(AT_ONCE)

    def ask(number: int) -> str:
        stream = openai_client.chat.completions.create(
            model=MODEL, messages=saying(f"question {number}"), stream=True
        )
        first = next(stream)
        all_open.wait(DEADLINE_S)
        return "".join(chunk.choices[0].delta.content or "" for chunk in [first, *stream])

    assert at_once(ask) == [f"echo: question {number}" for number in range(AT_ONCE)]
    assert_even(workspace.spread("openai"), AT_ONCE)
