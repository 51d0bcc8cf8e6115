"""A caller's token stays with Claviger, wherever an SDK puts it; the provider sees its own key and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

import anthropic
import httpx2
import openai
import pytest

import clients
from support import DEADLINE_S, KEYS, Mock, Workspace

Headers = dict[str, str | anthropic.Omit]

HI = "hi"
# What a browser or a proxy in front may add, and what only Claviger understands.
STRAY = {"cookie": "visitor=1", "x-claviger-actor": "somebody"}
KEY_HEADERS = {"authorization", "x-api-key", "x-goog-api-key"}
GENERATE = "/v1beta/models/gemini-mock:generateContent"


def openai_bearer(workspace: Workspace) -> None:
    with clients.openai_client(workspace) as client:
        client.chat.completions.create(
            model="gpt-mock", messages=[{"role": "user", "content": HI}], extra_headers=STRAY
        )


def anthropic_message(client: anthropic.Anthropic, headers: Headers) -> None:
    with client:
        client.messages.create(
            model="claude-mock",
            max_tokens=1000,
            messages=[{"role": "user", "content": HI}],
            extra_headers={**STRAY, **headers},
        )


def anthropic_api_key(workspace: Workspace) -> None:
    anthropic_message(clients.anthropic_client(workspace), {})


def anthropic_auth_token(workspace: Workspace) -> None:
    anthropic_message(clients.anthropic_client_with_auth_token(workspace), {})


def anthropic_x_api_key(workspace: Workspace) -> None:
    """As this SDK sent its `api_key` before version 2."""
    headers: Headers = {"authorization": anthropic.omit, "x-api-key": workspace.token}
    anthropic_message(clients.anthropic_client(workspace), headers)


def google_header(workspace: Workspace) -> None:
    with clients.google_client(workspace, headers=STRAY) as client:
        client.models.generate_content(model="gemini-mock", contents=HI)


def google_query(workspace: Workspace) -> None:
    """As Google's own examples for curl do."""
    query = {"key": workspace.token, "alt": "json"}
    body = {"contents": [{"parts": [{"text": HI}]}]}
    url = workspace.url("google") + GENERATE
    httpx2.post(url, params=query, json=body, headers=STRAY, timeout=DEADLINE_S).raise_for_status()


def openai_in_two_places(workspace: Workspace) -> None:
    with clients.openai_client(workspace) as client:
        client.chat.completions.create(
            model="gpt-mock",
            messages=[{"role": "user", "content": HI}],
            extra_headers={**STRAY, "x-api-key": workspace.token},
            extra_query={"key": workspace.token},
        )


@dataclass(frozen=True)
class Way:
    ask: Callable[[Workspace], None]
    provider: str
    header: str
    """Where the provider expects its key."""
    before_key: str = ""


WAYS = [
    Way(openai_bearer, "openai", "authorization", "Bearer "),
    Way(openai_in_two_places, "openai", "authorization", "Bearer "),
    Way(anthropic_api_key, "anthropic", "x-api-key"),
    Way(anthropic_auth_token, "anthropic", "x-api-key"),
    Way(anthropic_x_api_key, "anthropic", "x-api-key"),
    Way(google_header, "google", "x-goog-api-key"),
    Way(google_query, "google", "x-goog-api-key"),
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.ask.__name__)
def test_the_callers_token_never_reaches_the_provider(workspace: Workspace, mock: Mock, way: Way) -> None:
    mock.record()
    for _ in range(KEYS):
        way.ask(workspace)
    requests = mock.recorded()
    assert len(requests) == KEYS
    secret = workspace.token.rsplit("_", 1)[-1]
    seen = []
    for request in requests:
        headers = {name: value for name, value in request["headers"]}
        assert len(headers) == len(request["headers"]), "a header came twice"
        for text in (request["target"], unquote(request["target"]), request["body"], str(headers)):
            assert secret not in text
        assert KEY_HEADERS & headers.keys() == {way.header}
        assert not [name for name in headers if name == "cookie" or name.startswith("x-claviger")]
        assert HI in request["body"]
        seen.append(headers[way.header])
    assert sorted(seen) == sorted(way.before_key + key for key in workspace.keys[way.provider])


def test_the_rest_of_a_query_with_a_token_comes_through(workspace: Workspace, mock: Mock) -> None:
    mock.record()
    google_query(workspace)
    (request,) = mock.recorded()
    assert request["target"] == f"/google{GENERATE}?alt=json"


def test_a_request_without_any_token_is_refused(workspace: Workspace, mock: Mock) -> None:
    with clients.openai_client(workspace) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            client.models.list(extra_headers={"authorization": openai.omit})
    assert caught.value.code
    assert not mock.counts().requests
