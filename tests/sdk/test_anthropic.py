"""The Anthropic SDK: every kind of call is answered rightly, and every key takes its turn."""

import asyncio
import os
import threading

import anthropic
from anthropic.types import Message, MessageParam, ToolParam, ToolResultBlockParam

import clients
from support import AT_ONCE, DEADLINE_S, EVENLY, KEYS, ROUNDS, Mock, Workspace, assert_even, at_once

MODEL = "claude-mock"
MAX_TOKENS = 1000
TOOL: ToolParam = {"name": "look_up", "input_schema": {"type": "object", "properties": {}}}


def saying(text: str) -> list[MessageParam]:
    return [{"role": "user", "content": text}]


def text_of(message: Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def test_a_message_is_answered_with_each_key_in_turn(
    anthropic_client: anthropic.Anthropic, workspace: Workspace
) -> None:
    for round in range(ROUNDS):
        answer = anthropic_client.messages.create(
            model=MODEL, max_tokens=MAX_TOKENS, messages=saying(f"good day {round}")
        )
        assert text_of(answer) == f"echo: good day {round}"
        assert (answer.stop_reason, answer.model) == ("end_turn", MODEL)
    assert workspace.spread("anthropic") == EVENLY


def test_every_answer_carries_a_receipt(anthropic_client: anthropic.Anthropic, workspace: Workspace) -> None:
    key_ids = []
    for _ in range(ROUNDS):
        answer = anthropic_client.messages.with_raw_response.create(
            model=MODEL, max_tokens=MAX_TOKENS, messages=saying("hi")
        )
        assert answer.headers["x-claviger-scope"] == "workspace"
        assert answer.headers["x-claviger-attempts"] == "1"
        assert answer.headers["x-request-id"]
        key_ids.append(answer.headers["x-claviger-key-id"])
    workspace.assert_in_turn("anthropic", key_ids)
    assert workspace.spread("anthropic") == EVENLY


def test_a_stream_brings_every_chunk(anthropic_client: anthropic.Anthropic, workspace: Workspace) -> None:
    for _ in range(ROUNDS):
        with anthropic_client.messages.stream(
            model=MODEL,
            max_tokens=MAX_TOKENS,
            messages=saying("a longer sentence"),
            extra_headers={"x-mock-chunks": "20"},
        ) as stream:
            pieces = list(stream.text_stream)
            answer = stream.get_final_message()
        assert len(pieces) == 20
        assert "".join(pieces) == text_of(answer) == "echo: a longer sentence"
        assert answer.stop_reason == "end_turn"
    assert workspace.spread("anthropic") == EVENLY


def test_the_first_chunk_is_in_hand_while_the_provider_still_writes(
    anthropic_client: anthropic.Anthropic, workspace: Workspace, mock: Mock
) -> None:
    for _ in range(KEYS):
        with anthropic_client.messages.stream(
            model=MODEL,
            max_tokens=MAX_TOKENS,
            messages=saying("slowly"),
            extra_headers={"x-mock-chunks": "5", "x-mock-gap-ms": "250"},
        ) as stream:
            next(stream)
            assert mock.counts().active == 1
            assert stream.get_final_text() == "echo: slowly"
        ended = mock.wait_until(lambda counts: counts.active == 0)
        assert ended.cancelled == 0
    assert workspace.spread("anthropic") == [1] * KEYS


def test_the_async_client_is_served_as_well(workspace: Workspace) -> None:
    async def talk() -> None:
        async with clients.async_anthropic_client(workspace) as client:
            for _ in range(ROUNDS // 2):
                answer = await client.messages.create(
                    model=MODEL, max_tokens=MAX_TOKENS, messages=saying("hi")
                )
                assert text_of(answer) == "echo: hi"
                async with client.messages.stream(
                    model=MODEL, max_tokens=MAX_TOKENS, messages=saying("hi")
                ) as stream:
                    assert await stream.get_final_text() == "echo: hi"

    asyncio.run(talk())
    assert workspace.spread("anthropic") == EVENLY


def test_a_tool_is_called_and_its_result_is_answered(
    anthropic_client: anthropic.Anthropic, workspace: Workspace
) -> None:
    for _ in range(ROUNDS // 2):
        messages = saying("use the tool")
        asked = anthropic_client.messages.create(
            model=MODEL, max_tokens=MAX_TOKENS, messages=messages, tools=[TOOL]
        )
        assert asked.stop_reason == "tool_use"
        (call,) = asked.content
        assert call.type == "tool_use"
        assert (call.name, call.input) == ("look_up", {})
        messages.append({"role": "assistant", "content": asked.content})
        result: ToolResultBlockParam = {"type": "tool_result", "tool_use_id": call.id, "content": "42"}
        messages.append({"role": "user", "content": [result]})
        answer = anthropic_client.messages.create(
            model=MODEL, max_tokens=MAX_TOKENS, messages=messages, tools=[TOOL]
        )
        assert text_of(answer) == "echo: use the tool"
    assert workspace.spread("anthropic") == EVENLY


def test_a_tool_call_is_streamed(anthropic_client: anthropic.Anthropic, workspace: Workspace) -> None:
    for _ in range(ROUNDS):
        with anthropic_client.messages.stream(
            model=MODEL, max_tokens=MAX_TOKENS, messages=saying("use the tool"), tools=[TOOL]
        ) as stream:
            (call,) = stream.get_final_message().content
        assert call.type == "tool_use"
        assert (call.name, call.input) == ("look_up", {})
    assert workspace.spread("anthropic") == EVENLY


def test_a_file_of_five_megabytes_arrives_whole(
    anthropic_client: anthropic.Anthropic, workspace: Workspace
) -> None:
    size = 5 << 20
    for _ in range(ROUNDS // 3):
        file = anthropic_client.files.upload(file=("book.bin", os.urandom(size)))
        assert (file.size_bytes, file.filename) == (size, "book.bin")
        assert anthropic_client.files.retrieve_metadata(file.id).size_bytes == size
        assert anthropic_client.files.delete(file.id).id == file.id
    assert workspace.spread("anthropic") == EVENLY


def test_a_prompt_of_two_megabytes_arrives_whole(
    anthropic_client: anthropic.Anthropic, workspace: Workspace
) -> None:
    size = 2 << 20
    for _ in range(ROUNDS // 2):
        messages = saying("x" * size)
        answer = anthropic_client.messages.create(model=MODEL, max_tokens=MAX_TOKENS, messages=messages)
        assert text_of(answer).endswith(f"x (prompt_bytes: {size})")
        assert anthropic_client.messages.count_tokens(model=MODEL, messages=messages).input_tokens > size // 4
    assert workspace.spread("anthropic") == EVENLY


def test_the_models_are_listed(anthropic_client: anthropic.Anthropic, workspace: Workspace) -> None:
    for _ in range(ROUNDS):
        assert [model.id for model in anthropic_client.models.list()] == ["mock-model"]
    assert workspace.spread("anthropic") == EVENLY


def test_sixty_four_threads_ask_at_once(anthropic_client: anthropic.Anthropic, workspace: Workspace) -> None:
    def ask(number: int) -> str:
        messages = saying(f"question {number}")
        return text_of(
            anthropic_client.messages.create(model=MODEL, max_tokens=MAX_TOKENS, messages=messages)
        )

    assert at_once(ask) == [f"echo: question {number}" for number in range(AT_ONCE)]
    assert_even(workspace.spread("anthropic"), AT_ONCE)


def test_sixty_four_tasks_ask_at_once(workspace: Workspace) -> None:
    async def ask_all() -> list[str]:
        async with clients.async_anthropic_client(workspace) as client:

            async def ask(number: int) -> str:
                messages = saying(f"question {number}")
                return text_of(
                    await client.messages.create(model=MODEL, max_tokens=MAX_TOKENS, messages=messages)
                )

            return await asyncio.gather(*map(ask, range(AT_ONCE)))

    assert asyncio.run(ask_all()) == [f"echo: question {number}" for number in range(AT_ONCE)]
    assert_even(workspace.spread("anthropic"), AT_ONCE)


def test_sixty_four_streams_are_open_at_once(
    anthropic_client: anthropic.Anthropic, workspace: Workspace
) -> None:
    all_open = threading.Barrier(AT_ONCE)

    def ask(number: int) -> str:
        messages = saying(f"question {number}")
        with anthropic_client.messages.stream(
            model=MODEL, max_tokens=MAX_TOKENS, messages=messages
        ) as stream:
            next(stream)
            all_open.wait(DEADLINE_S)
            return stream.get_final_text()

    assert at_once(ask) == [f"echo: question {number}" for number in range(AT_ONCE)]
    assert_even(workspace.spread("anthropic"), AT_ONCE)
