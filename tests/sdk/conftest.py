"""Starts the mock provider and Claviger once, and gives every test a workspace of its own.

The environment names the binaries: CLAVIGER_BIN and CLAVIGER_MOCK_BIN. The tests share the mock's books, so they run
one after the other.
"""

import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import anthropic
import openai
import pytest
from google import genai

import clients
from support import PROVIDERS, Claviger, Mock, Program, Workspace, holds, places_of

BINARIES = ("CLAVIGER_BIN", "CLAVIGER_MOCK_BIN")
# What the SDKs or their HTTP client would take from the environment, beside what a test says.
FOREIGN_SETTINGS = ("OPENAI_", "ANTHROPIC_", "GOOGLE_", "GEMINI_")
PROXY_SETTINGS = ("http_proxy", "https_proxy", "all_proxy")


def pytest_configure() -> None:
    for name in BINARIES:
        binary = os.environ.get(name, "")
        if not (os.path.isfile(binary) and os.access(binary, os.X_OK)):
            raise pytest.UsageError(f"{name} must name an executable file, not {binary!r}")
    for name in list(os.environ):
        if name.startswith(FOREIGN_SETTINGS) or name.lower() in PROXY_SETTINGS:
            del os.environ[name]


@pytest.fixture(scope="session")
def running_mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mock]:
    command = [os.path.abspath(os.environ["CLAVIGER_MOCK_BIN"]), "--listen", "127.0.0.1:0"]
    program = Program("mock", command, {}, tmp_path_factory.mktemp("mock"))
    mock = Mock(program.url)
    yield mock
    mock.close()
    # It has no shutdown of its own.
    assert program.stop() in (0, -signal.SIGTERM)


@pytest.fixture(scope="session")
def claviger(running_mock: Mock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Claviger]:
    """Ends with the search for secrets in everything that Claviger wrote, before and after its shutdown."""
    data = tmp_path_factory.mktemp("data") / "claviger"
    root_token = f"root-{secrets.token_urlsafe(36)}"
    settings = {
        "CLAVIGER_DATA_DIR": str(data),
        "CLAVIGER_SERVER__LISTEN": "127.0.0.1:0",
        "CLAVIGER_AUTH__ROOT_TOKEN": root_token,
        "CLAVIGER_LOG__LEVEL": "trace",
        # All tests show their bad tokens from one address.
        "CLAVIGER_AUTH__BAD_TOKEN_LIMIT": "0",
    }
    for provider in PROVIDERS:
        settings[f"CLAVIGER_PROVIDERS__{provider.upper()}__BASE_URL"] = f"{running_mock.url}/{provider}"
    command = [os.path.abspath(os.environ["CLAVIGER_BIN"]), "serve"]
    program = Program("claviger", command, settings, tmp_path_factory.mktemp("claviger"))
    claviger = Claviger(program.url, root_token, running_mock)
    yield claviger
    told = claviger.told()
    claviger.close()
    try:
        assert told and not [secret for secret in claviger.secrets if holds(secret, told)], "a secret is told"
        assert_no_secret_was_written(claviger.secrets, program, data)
    finally:
        exit_code = program.stop()
    assert_no_secret_was_written(claviger.secrets, program, data)
    assert exit_code == 0


def assert_no_secret_was_written(known: list[str], program: Program, data: Path) -> None:
    stored = [path for path in data.rglob("*") if path.is_file()]
    assert stored, "Claviger stored nothing, so this check would prove nothing"
    assert program.log.stat().st_size, "Claviger logged nothing, so this check would prove nothing"
    found = {place for secret in known for place in places_of(secret, [program.log, program.out, *stored])}
    assert not found, f"a token or a provider key stands in {sorted(found)}"


@pytest.fixture
def mock(running_mock: Mock) -> Mock:
    """The mock provider, with nothing left of the tests before."""
    running_mock.wait_until(lambda counts: counts.active == 0)
    running_mock.reset()
    return running_mock


@pytest.fixture
def workspace(claviger: Claviger, mock: Mock) -> Workspace:
    """A fresh workspace with three fresh keys for each provider."""
    return claviger.workspace()


@pytest.fixture
def openai_client(workspace: Workspace) -> Iterator[openai.OpenAI]:
    with clients.openai_client(workspace) as client:
        yield client


@pytest.fixture
def anthropic_client(workspace: Workspace) -> Iterator[anthropic.Anthropic]:
    with clients.anthropic_client(workspace) as client:
        yield client


@pytest.fixture
def google_client(workspace: Workspace) -> Iterator[genai.Client]:
    with clients.google_client(workspace) as client:
        yield client
