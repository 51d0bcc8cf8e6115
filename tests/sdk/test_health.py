"""Keys that are limited, refused or empty are not the SDKs' business, as long as one key of the pool can serve."""

import json
from typing import Any

import anthropic
import openai
import pytest

from support import KEYS, Workspace

CHAT: dict[str, Any] = {"model": "gpt-mock", "messages": [{"role": "user", "content": "hi"}]}
MESSAGE: dict[str, Any] = {**CHAT, "model": "claude-mock", "max_tokens": 1000}


@pytest.mark.parametrize("status", [401, 402, 429])
@pytest.mark.parametrize("stream", [False, True])
def test_openai_gets_its_answer_from_the_next_key(
    openai_client: openai.OpenAI, workspace: Workspace, status: int, stream: bool
) -> None:
    for key in workspace.keys["openai"][:-1]:
        workspace.mock.behave("openai", key, status=status)
    answered = openai_client.chat.completions.with_raw_response.create(**CHAT, stream=stream)
    assert answered.headers["x-claviger-attempts"] == str(KEYS)
    assert answered.headers["x-claviger-key-id"] == workspace.key_ids["openai"][-1]
    if stream:
        assert "".join(chunk.choices[0].delta.content or "" for chunk in answered.parse() if chunk.choices)
    else:
        assert answered.parse().choices[0].message.content
    *sick, well = workspace.spread("openai")
    # A key that is refused is probed at once, which the provider counts as well.
    assert well == 1 and all(uses in ((1, 2) if status == 401 else (1,)) for uses in sick), sick


def test_anthropic_gets_its_stream_from_the_next_key_where_the_first_event_is_an_error(
    anthropic_client: anthropic.Anthropic, workspace: Workspace
) -> None:
    error = json.dumps({"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}})
    sick = {"status": 200, "body": f"event: error\ndata: {error}\n\n", "headers": {"content-type": "text/event-stream"}}
    workspace.mock.behave("anthropic", workspace.keys["anthropic"][0], **sick)
    with anthropic_client.messages.stream(**MESSAGE) as stream:
        assert stream.get_final_text()
    assert sum(workspace.spread("anthropic")) == 2


def test_the_providers_own_error_is_raised_where_no_key_can_serve_and_then_claviger_asks_to_wait(
    openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic, workspace: Workspace
) -> None:
    for provider in ("openai", "anthropic"):
        workspace.behave(provider, status=429, headers={"retry-after": "40"})
    with pytest.raises(openai.RateLimitError) as of_openai:
        openai_client.chat.completions.create(**CHAT)
    with pytest.raises(anthropic.RateLimitError) as of_anthropic:
        anthropic_client.messages.create(**MESSAGE)
    for response in (of_openai.value.response, of_anthropic.value.response):
        assert response.headers["x-claviger-attempts"] == str(KEYS)
        assert response.headers["retry-after"] == "40"
    with pytest.raises(openai.RateLimitError) as of_openai:
        openai_client.chat.completions.create(**CHAT)
    with pytest.raises(anthropic.RateLimitError) as of_anthropic:
        anthropic_client.messages.create(**MESSAGE)
    assert of_openai.value.code == "pool_cooling"
    assert of_anthropic.value.type == "rate_limit_error"
    for response in (of_openai.value.response, of_anthropic.value.response):
        assert response.headers["x-claviger-attempts"] == "0"
        assert 30 <= int(response.headers["retry-after"]) <= 40
    assert workspace.spread("openai") == workspace.spread("anthropic") == [1] * KEYS
