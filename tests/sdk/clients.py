"""The official SDKs as their users set them up: base URL and key changed, nothing else.

Their own retries are off, so that one call is one request and every failure shows.
"""

import anthropic
import openai
from google import genai
from google.genai import types

from support import DEADLINE_S, Workspace


def openai_client(workspace: Workspace, token: str | None = None) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"{workspace.url('openai')}/v1",
        api_key=token or workspace.token,
        max_retries=0,
        timeout=DEADLINE_S,
    )


def async_openai_client(workspace: Workspace) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=f"{workspace.url('openai')}/v1", api_key=workspace.token, max_retries=0, timeout=DEADLINE_S
    )


def anthropic_client(workspace: Workspace, token: str | None = None) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        base_url=workspace.url("anthropic"),
        api_key=token or workspace.token,
        max_retries=0,
        timeout=DEADLINE_S,
    )


def anthropic_client_with_auth_token(workspace: Workspace) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        base_url=workspace.url("anthropic"), auth_token=workspace.token, max_retries=0, timeout=DEADLINE_S
    )


def async_anthropic_client(workspace: Workspace) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(
        base_url=workspace.url("anthropic"), api_key=workspace.token, max_retries=0, timeout=DEADLINE_S
    )


def google_client(
    workspace: Workspace, token: str | None = None, headers: dict[str, str] | None = None
) -> genai.Client:
    options = types.HttpOptions(
        base_url=workspace.url("google"), timeout=int(DEADLINE_S * 1000), headers=headers or {}
    )
    return genai.Client(api_key=token or workspace.token, http_options=options)
