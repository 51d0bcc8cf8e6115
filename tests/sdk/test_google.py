"""The Google GenAI SDK: every kind of call is answered rightly, and every key takes its turn."""

import asyncio

import httpx2
import pytest
from google import genai
from google.genai import errors, types

import clients
from support import AT_ONCE, EVENLY, KEYS, ROUNDS, Claviger, Mock, Workspace, assert_even, at_once

MODEL = "gemini-mock"


def test_content_is_generated_with_each_key_in_turn(
    google_client: genai.Client, workspace: Workspace
) -> None:
    key_ids = []
    for round in range(ROUNDS):
        answer = google_client.models.generate_content(model=MODEL, contents=f"good day {round}")
        assert answer.text == f"echo: good day {round}"
        headers = httpx2.Headers((answer.sdk_http_response and answer.sdk_http_response.headers) or {})
        assert headers["x-claviger-scope"] == "workspace"
        assert headers["x-claviger-attempts"] == "1"
        assert headers["x-request-id"]
        key_ids.append(headers["x-claviger-key-id"])
    workspace.assert_in_turn("google", key_ids)
    assert workspace.spread("google") == EVENLY


def test_a_stream_brings_every_chunk(workspace: Workspace) -> None:
    with clients.google_client(workspace, headers={"x-mock-chunks": "20"}) as client:
        for _ in range(ROUNDS):
            chunks = list(client.models.generate_content_stream(model=MODEL, contents="a longer sentence"))
            assert len(chunks) == 20
            assert "".join(chunk.text or "" for chunk in chunks) == "echo: a longer sentence"
    assert workspace.spread("google") == EVENLY


def test_the_first_chunk_is_in_hand_while_the_provider_still_writes(workspace: Workspace, mock: Mock) -> None:
    with clients.google_client(workspace, headers={"x-mock-chunks": "5", "x-mock-gap-ms": "400"}) as client:
        for _ in range(KEYS):
            stream = client.models.generate_content_stream(model=MODEL, contents="slowly")
            first = next(iter(stream))
            assert mock.counts().active == 1
            assert "".join(chunk.text or "" for chunk in [first, *stream]) == "echo: slowly"
            ended = mock.wait_until(lambda counts: counts.active == 0)
            assert ended.cancelled == 0
    assert workspace.spread("google") == [1] * KEYS


def test_the_async_client_is_served_as_well(workspace: Workspace) -> None:
    async def talk() -> None:
        async with clients.google_client(workspace).aio as client:
            for _ in range(ROUNDS // 2):
                answer = await client.models.generate_content(model=MODEL, contents="hi")
                assert answer.text == "echo: hi"
                stream = await client.models.generate_content_stream(model=MODEL, contents="hi")
                assert "".join([chunk.text or "" async for chunk in stream]) == "echo: hi"

    asyncio.run(talk())
    assert workspace.spread("google") == EVENLY


def test_a_tool_is_called(google_client: genai.Client, workspace: Workspace) -> None:
    look_up = types.Tool(function_declarations=[types.FunctionDeclaration(name="look_up")])
    for _ in range(ROUNDS):
        answer = google_client.models.generate_content(
            model=MODEL, contents="use the tool", config=types.GenerateContentConfig(tools=[look_up])
        )
        assert [call.name for call in answer.function_calls or []] == ["look_up"]
    assert workspace.spread("google") == EVENLY


def test_the_models_are_listed(google_client: genai.Client, workspace: Workspace) -> None:
    for _ in range(ROUNDS):
        assert [model.name for model in google_client.models.list()] == ["models/mock-model"]
    assert workspace.spread("google") == EVENLY


def test_a_prompt_of_two_megabytes_arrives_whole(google_client: genai.Client, workspace: Workspace) -> None:
    size = 2 << 20
    for _ in range(ROUNDS):
        answer = google_client.models.generate_content(model=MODEL, contents="x" * size)
        assert (answer.text or "").endswith(f"x (prompt_bytes: {size})")
    assert workspace.spread("google") == EVENLY


def test_sixty_four_threads_ask_at_once(google_client: genai.Client, workspace: Workspace) -> None:
    def ask(number: int) -> str | None:
        return google_client.models.generate_content(model=MODEL, contents=f"question {number}").text

    assert at_once(ask) == [f"echo: question {number}" for number in range(AT_ONCE)]
    assert_even(workspace.spread("google"), AT_ONCE)


@pytest.mark.parametrize(("status", "raised"), [(400, errors.ClientError), (500, errors.ServerError)])
def test_a_providers_error_passes_through_unchanged(
    google_client: genai.Client, workspace: Workspace, status: int, raised: type[errors.APIError]
) -> None:
    body = {"error": {"code": status, "message": "the provider's own words", "status": "ODD"}}
    workspace.behave("google", status=status, body=body)
    for _ in range(KEYS):
        with pytest.raises(raised) as caught:
            google_client.models.generate_content(model=MODEL, contents="hi")
        assert (caught.value.code, caught.value.details) == (status, body)
    assert workspace.spread("google") == [1] * KEYS


def test_clavigers_own_errors_are_read(claviger: Claviger, workspace: Workspace) -> None:
    with clients.google_client(workspace, token="AIza-no-token-at-all") as client:
        with pytest.raises(errors.ClientError) as caught:
            client.models.generate_content(model=MODEL, contents="hi")
    assert caught.value.code == 401 and caught.value.message
    with clients.google_client(claviger.workspace(keys_each=0)) as client:
        with pytest.raises(errors.ClientError) as caught:
            client.models.generate_content(model=MODEL, contents="hi")
    assert caught.value.code == 404
    assert caught.value.details["error"]["code"] == "no_key"
    assert workspace.spread("google") == [0] * KEYS


def test_a_stream_that_the_provider_cuts_off_raises(workspace: Workspace) -> None:
    workspace.behave("google", cut_after_bytes=1500)
    with clients.google_client(workspace, headers={"x-mock-chunks": "50"}) as client:
        for _ in range(KEYS):
            chunks = []
            with pytest.raises((errors.APIError, httpx2.TransportError)):
                for chunk in client.models.generate_content_stream(model=MODEL, contents="hi"):
                    chunks.append(chunk)
            assert 0 < len(chunks) < 50
    assert workspace.spread("google") == [1] * KEYS
