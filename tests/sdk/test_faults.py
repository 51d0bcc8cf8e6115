"""What goes wrong reaches the OpenAI and Anthropic SDKs as what it is, and is never hidden or repeated."""

import json
from typing import Any

import anthropic
import httpx2
import openai
import pytest

import clients
from support import KEYS, Claviger, Mock, Workspace

USER_SAYS_HI = {"role": "user", "content": "hi"}
CHAT: dict[str, Any] = {"model": "gpt-mock", "messages": [USER_SAYS_HI]}
MESSAGE: dict[str, Any] = {**CHAT, "model": "claude-mock", "max_tokens": 1000}
LONG = {"x-mock-chunks": "50"}
# Twenty seconds: far longer than a hang-up takes to arrive, yet over when the next test begins after a failure.
LASTING = {"x-mock-chunks": "400", "x-mock-gap-ms": "50"}


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (400, openai.BadRequestError),
        (404, openai.NotFoundError),
        (422, openai.UnprocessableEntityError),
        (500, openai.InternalServerError),
    ],
)
def test_an_error_of_openai_passes_through_unchanged(
    openai_client: openai.OpenAI, workspace: Workspace, status: int, raised: type[openai.APIStatusError]
) -> None:
    # The odd spaces show that the body was not read and written again.
    body = '{"error":  {"message": "its own words", "type": "odd", "param":null, "code": "odd_code"}}'
    workspace.behave("openai", status=status, body=body, headers={"x-request-id": "req_of_the_provider"})
    for _ in range(KEYS):
        with pytest.raises(raised) as caught:
            openai_client.chat.completions.create(**CHAT)
        error = caught.value
        assert error.response.text == body
        assert (error.body, error.code) == (json.loads(body)["error"], "odd_code")
        assert error.request_id == "req_of_the_provider"
        assert error.response.headers["x-claviger-key-id"] in workspace.key_ids["openai"]
        assert error.response.headers["x-claviger-attempts"] == "1"
    assert workspace.spread("openai") == [1] * KEYS


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (400, anthropic.BadRequestError),
        (404, anthropic.NotFoundError),
        (422, anthropic.UnprocessableEntityError),
        (500, anthropic.InternalServerError),
    ],
)
def test_an_error_of_anthropic_passes_through_unchanged(
    anthropic_client: anthropic.Anthropic,
    workspace: Workspace,
    status: int,
    raised: type[anthropic.APIStatusError],
) -> None:
    body = '{"type":  "error", "error": {"type": "odd_error", "message":"its own words"}}'
    workspace.behave("anthropic", status=status, body=body, headers={"request-id": "req_of_the_provider"})
    for _ in range(KEYS):
        with pytest.raises(raised) as caught:
            anthropic_client.messages.create(**MESSAGE)
        error = caught.value
        assert error.response.text == body
        assert (error.body, error.type) == (json.loads(body), "odd_error")
        assert error.request_id == "req_of_the_provider"
        assert error.response.headers["x-claviger-key-id"] in workspace.key_ids["anthropic"]
        assert error.response.headers["x-claviger-attempts"] == "1"
    assert workspace.spread("anthropic") == [1] * KEYS


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("mistake", ["sk-no-token-at-all", "clv_abc_def"])
def test_a_wrong_token_is_an_authentication_error(workspace: Workspace, mistake: str, stream: bool) -> None:
    mistyped = workspace.token[:-1] + ("a" if workspace.token[-1] != "a" else "b")
    for token in (mistake, mistyped):
        with clients.openai_client(workspace, token) as client:
            with pytest.raises(openai.AuthenticationError) as of_openai:
                client.chat.completions.create(**CHAT, stream=stream)
        assert of_openai.value.code and of_openai.value.response.headers["x-request-id"]
        with clients.anthropic_client(workspace, token) as client_of_anthropic:
            with pytest.raises(anthropic.AuthenticationError) as of_anthropic:
                client_of_anthropic.messages.create(**MESSAGE, stream=stream)
        assert of_anthropic.value.type == "authentication_error"
        assert of_anthropic.value.api_message and code_of(of_anthropic.value)
        for text in (of_openai.value.response.text, of_anthropic.value.response.text):
            assert token not in text
    assert workspace.spread("openai") == workspace.spread("anthropic") == [0] * KEYS


def test_a_token_without_the_right_is_a_permission_error(claviger: Claviger, workspace: Workspace) -> None:
    token = claviger.token(workspace.id, "admin")
    with clients.openai_client(workspace, token) as client:
        with pytest.raises(openai.PermissionDeniedError) as of_openai:
            client.chat.completions.create(**CHAT)
    with clients.anthropic_client(workspace, token) as client_of_anthropic:
        with pytest.raises(anthropic.PermissionDeniedError) as of_anthropic:
            client_of_anthropic.messages.create(**MESSAGE)
    assert of_openai.value.code and of_openai.value.code == code_of(of_anthropic.value)
    assert workspace.spread("openai") == workspace.spread("anthropic") == [0] * KEYS


@pytest.mark.parametrize("stream", [False, True])
def test_a_workspace_without_keys_is_not_found(claviger: Claviger, mock: Mock, stream: bool) -> None:
    workspace = claviger.workspace(keys_each=0)
    with clients.openai_client(workspace) as client:
        with pytest.raises(openai.NotFoundError) as of_openai:
            client.chat.completions.create(**CHAT, stream=stream)
    assert of_openai.value.code == "no_key"
    assert of_openai.value.response.headers["x-request-id"]
    with clients.anthropic_client(workspace) as client_of_anthropic:
        with pytest.raises(anthropic.NotFoundError) as of_anthropic:
            client_of_anthropic.messages.create(**MESSAGE, stream=stream)
    assert code_of(of_anthropic.value) == "no_key"
    assert of_anthropic.value.api_message
    assert not mock.counts().requests


def code_of(error: anthropic.APIStatusError) -> str:
    assert isinstance(error.body, dict)
    code: str = error.body["error"]["code"]
    return code


def test_a_stream_of_openai_that_is_cut_off_raises(
    openai_client: openai.OpenAI, workspace: Workspace
) -> None:
    workspace.behave("openai", cut_after_bytes=1500)
    for _ in range(KEYS):
        chunks = []
        with pytest.raises(openai.APIConnectionError):
            for chunk in openai_client.chat.completions.create(**CHAT, stream=True, extra_headers=LONG):
                chunks.append(chunk)
        assert 0 < len(chunks) < 50
    assert workspace.spread("openai") == [1] * KEYS


def test_a_stream_of_anthropic_that_is_cut_off_raises(
    anthropic_client: anthropic.Anthropic, workspace: Workspace
) -> None:
    workspace.behave("anthropic", cut_after_bytes=1500)
    for _ in range(KEYS):
        events = []
        # This SDK lets the error of its HTTP client through.
        with pytest.raises((anthropic.APIConnectionError, httpx2.TransportError)):
            for event in anthropic_client.messages.create(**MESSAGE, stream=True, extra_headers=LONG):
                events.append(event)
        assert 0 < len(events) < 50
    assert workspace.spread("anthropic") == [1] * KEYS


def test_a_whole_answer_that_is_cut_off_raises(
    openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic, workspace: Workspace
) -> None:
    for provider in ("openai", "anthropic"):
        workspace.behave(provider, cut_after_bytes=20)
    for _ in range(KEYS):
        with pytest.raises(openai.APIConnectionError):
            openai_client.chat.completions.create(**CHAT)
        with pytest.raises((anthropic.APIConnectionError, httpx2.TransportError)):
            anthropic_client.messages.create(**MESSAGE)
    assert workspace.spread("openai") == workspace.spread("anthropic") == [1] * KEYS


def test_a_client_that_hangs_up_mid_stream_frees_the_provider(
    openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic, workspace: Workspace, mock: Mock
) -> None:
    for hung_up in range(0, 2 * KEYS, 2):
        with openai_client.chat.completions.create(**CHAT, stream=True, extra_headers=LASTING) as chunks:
            next(chunks)
            assert mock.counts().active == 1
        mock.wait_until(lambda counts: (counts.active, counts.cancelled) == (0, hung_up + 1))
        with anthropic_client.messages.create(**MESSAGE, stream=True, extra_headers=LASTING) as events:
            next(events)
            assert mock.counts().active == 1
        mock.wait_until(lambda counts: (counts.active, counts.cancelled) == (0, hung_up + 2))
    assert workspace.spread("openai") == workspace.spread("anthropic") == [1] * KEYS
