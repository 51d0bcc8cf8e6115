"""The two programs that the tests run, and a workspace in one of them."""

import os
import re
import secrets
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2

T = TypeVar("T")

PROVIDERS = ("openai", "anthropic", "google")
KEYS = 3
ROUNDS = 6
"""Sequential requests of a test: two turns for each key."""
EVENLY = [ROUNDS // KEYS] * KEYS
AT_ONCE = 64
DEADLINE_S = 30.0
"""When something that should have happened counts as failed. No test waits for it to pass."""
SHUTDOWN_S = 40.0
"""Claviger gives running requests 30 seconds."""
POLL_S = 0.01


class Program:
    """A child process that prints where it listens."""

    def __init__(self, name: str, command: list[str], settings: Mapping[str, str], directory: Path) -> None:
        self.name = name
        self.out = directory / f"{name}.stdout"
        self.log = directory / f"{name}.stderr"
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("CLAVIGER_")}
        with self.out.open("wb") as out, self.log.open("wb") as log:
            # The directory is empty, so that no settings file lies about in it.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                env={**inherited, **settings},
                cwd=directory,
            )
        self.url = self._wait_until_listening()

    def _wait_until_listening(self) -> str:
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            # Looked at before the output, or the last words of a process that ends would be missed.
            ended = self._process.poll() is not None
            line = re.search(r"^listening on (http://\S+)\n", self.out.read_text(), re.MULTILINE)
            if line:
                return line[1]
            if ended:
                break
            time.sleep(POLL_S)
        self._process.kill()
        code = self._process.wait()
        raise RuntimeError(f"{self.name} did not start (exit code {code}):\n{self.log.read_text()}")

    def stop(self) -> int:
        """Asks the process to end, and returns its exit code; negative where a signal ended it."""
        self._process.terminate()
        try:
            return self._process.wait(SHUTDOWN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise RuntimeError(f"{self.name} did not end within {SHUTDOWN_S} s of SIGTERM") from None


@dataclass(frozen=True)
class Counts:
    """The mock provider's books."""

    requests: Mapping[tuple[str, str], int]
    active: int
    cancelled: int


class Mock:
    """The control endpoints of the mock provider."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx2.Client(base_url=f"{url}/_mock/", timeout=DEADLINE_S)

    def close(self) -> None:
        self._http.close()

    def counts(self) -> Counts:
        body = self._call("GET", "counts")
        requests = {(count["provider"], count["key"]): count["requests"] for count in body["counts"]}
        return Counts(requests, body["active"], body["cancelled"])

    def wait_until(self, reached: Callable[[Counts], bool]) -> Counts:
        """Looks at the counts until they are as wished."""
        deadline = time.monotonic() + DEADLINE_S
        while not reached(counts := self.counts()):
            assert (
                time.monotonic() < deadline
            ), f"not reached: active {counts.active}, cancelled {counts.cancelled}"
            time.sleep(POLL_S)
        return counts

    def behave(self, provider: str, key: str, **behaviour: object) -> None:
        self._call("PUT", "behaviours", {"provider": provider, "key": key, "behaviour": behaviour})

    def record(self) -> None:
        self._call("PUT", "recording", {"enabled": True})

    def recorded(self) -> list[dict[str, Any]]:
        requests: list[dict[str, Any]] = self._call("GET", "requests")
        return requests

    def reset(self) -> None:
        self._call("POST", "reset")

    def _call(self, method: str, endpoint: str, body: object = None) -> Any:
        response = self._http.request(method, endpoint, json=body)
        response.raise_for_status()
        return response.json() if response.content else None


@dataclass(frozen=True)
class Workspace:
    """A fresh workspace with a runtime token, and with keys that nobody else has."""

    id: str
    token: str
    keys: Mapping[str, list[str]]
    """By provider, in creation order."""
    key_ids: Mapping[str, list[str]]
    gateway: str
    mock: Mock

    def url(self, provider: str) -> str:
        return f"{self.gateway}/{provider}"

    def spread(self, provider: str) -> list[int]:
        """How many requests the provider got with each key."""
        requests = self.mock.counts().requests
        return [requests.get((provider, key), 0) for key in self.keys[provider]]

    def behave(self, provider: str, **behaviour: object) -> None:
        for key in self.keys[provider]:
            self.mock.behave(provider, key, **behaviour)

    def assert_in_turn(self, provider: str, key_ids: list[str]) -> None:
        """The keys served in creation order, round and round; which one began does not matter."""
        order = self.key_ids[provider]
        first = order.index(key_ids[0])
        assert key_ids == [order[(first + turn) % len(order)] for turn in range(len(key_ids))]


class Claviger:
    """The control plane of a running Claviger, seen by its root token. Remembers every secret that it was told."""

    def __init__(self, url: str, root_token: str, mock: Mock) -> None:
        self.url = url
        self.mock = mock
        self.root_token = root_token
        self.secrets = [root_token]
        bearer = {"authorization": f"Bearer {root_token}"}
        self._http = httpx2.Client(base_url=f"{url}/api/", headers=bearer, timeout=DEADLINE_S)

    def close(self) -> None:
        self._http.close()

    def name(self) -> str:
        """An id that nobody has yet."""
        return f"ws-{secrets.token_hex(8)}"

    def workspace(self, keys_each: int = KEYS) -> Workspace:
        name = self.name()
        self.call("PUT", f"workspaces/{name}", {})
        keys: dict[str, list[str]] = {}
        key_ids: dict[str, list[str]] = {}
        for provider in PROVIDERS:
            keys[provider] = [self.secret(f"sk-{provider}-") for _ in range(keys_each)]
            key_ids[provider] = [self.add_key(f"workspaces/{name}", provider, key) for key in keys[provider]]
        return Workspace(name, self.token(name, "runtime"), keys, key_ids, f"{self.url}/gateway", self.mock)

    def secret(self, prefix: str) -> str:
        """A provider key."""
        secret = prefix + secrets.token_urlsafe(24)
        self.secrets.append(secret)
        return secret

    def token(self, workspace: str | None, role: str, **rest: object) -> str:
        body = {"name": "sdk tests", "role": role, "workspaceId": workspace, **rest}
        return self.remember(self.call("POST", "tokens", body)["token"])

    def remember(self, token: str) -> str:
        # The last part is the secret; it must not turn up without the rest either.
        self.secrets += [token, token.rsplit("_", 1)[-1]]
        return token

    def told(self) -> bytes:
        """What is told of everything that was done: metrics, lists and the audit trails."""
        names = [workspace["id"] for workspace in self.call("GET", "workspaces")["workspaces"]]
        paths = [f"workspaces/{name}/{what}" for name in names for what in ("byok-keys", "audit-log")]
        answers = [self._http.get(path) for path in ("../metrics", "tokens", "platform/audit-log", *paths)]
        assert all(answer.is_success for answer in answers)
        return b"\n".join(answer.content for answer in answers)

    def add_key(self, owner: str, provider: str, key: str) -> str:
        body = {"providerId": provider, "apiKey": key, "name": f"{provider} key"}
        key_id: str = self.call("POST", f"{owner}/byok-keys", body)["key"]["id"]
        return key_id

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Asks as root, and takes only a success for an answer."""
        response = self._http.request(method, path, json=body)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return response.json()


def at_once(call: Callable[[int], T]) -> list[T]:
    """Makes 64 calls from as many threads, which all begin together."""
    start = threading.Barrier(AT_ONCE)

    def one(number: int) -> T:
        start.wait(DEADLINE_S)
        return call(number)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(one, range(AT_ONCE)))


def assert_even(spread: list[int], requests: int) -> None:
    assert sum(spread) == requests, spread
    assert max(spread) - min(spread) <= 1, spread


def holds(secret: str, data: bytes) -> bool:
    """Whether `secret` stands in `data`: as it is, in hexadecimal digits, or in base64 at any place of a longer text."""
    plain = secret.encode()
    # What its neighbours take part in is cut off.
    base64 = [b64encode(bytes(before) + plain)[4 if before else 0 : (before + len(plain)) // 3 * 4] for before in range(3)]
    forms = [plain, plain.hex().encode(), plain.hex().upper().encode(), *base64]
    return any(form in data for form in forms)


def places_of(secret: str, files: list[Path]) -> list[str]:
    """The files that hold `secret`."""
    return [str(file) for file in files if holds(secret, file.read_bytes())]
