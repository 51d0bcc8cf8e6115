"""Requests that Schemathesis makes up of the OpenAPI document, in every role: no server error, and no answer that the
document does not tell of.

What it makes up rarely names anything that is there, so most requests are turned towards a workspace of the test's
own, which has a key, a webhook and a token.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig as Config
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from support import DEADLINE_S, Claviger

DOCUMENT = Path(__file__).parents[2] / "docs/api/openapi.json"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# Whoever may do little is refused at the first look, whatever is asked for.
EXAMPLES = {"root": 15, "service with reveal": 15, "admin": 15}
FEWER_EXAMPLES = 5
REVEAL = " with reveal"
ROLES = ["nobody", "root", "service", f"service{REVEAL}", "admin", "member", "runtime", f"runtime{REVEAL}"]

# Who asks is the test's to say, and not made up.
CONFIG = Config.from_dict({"generation": {"with-security-parameters": False}})
OPERATIONS = [found.ok() for found in schemathesis.openapi.from_path(DOCUMENT, config=CONFIG).get_all_operations()]


def cases(operation: schemathesis.schemas.APIOperation) -> SearchStrategy[Case]:
    """Requests as the document has them, and ones that break it where they can."""
    sound = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    has_something_to_break = operation.body or operation.query or operation.path_parameters or operation.headers
    if not has_something_to_break:
        return sound
    return sound | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)


CASES = {operation.label: cases(operation) for operation in OPERATIONS}


@dataclass(frozen=True)
class Stage:
    """Who asks, and what there is to be asked about."""

    headers: dict[str, str]
    ids: dict[str, str]
    values: dict[str, str | int]

    def turn(self, case: Case, *, is_there: bool) -> None:
        """Puts what is there, or what could be, in the place of what was made up."""
        kind = case.path.split("/")[2] if case.path.startswith("/api/") else ""
        known = {name: self.ids.get(f"{kind}.{name}", value) for name, value in {**self.values, **self.ids}.items()}
        if not is_there:
            known |= {name: f"{known[name][:-1]}{3 if known[name].endswith('2') else 2}" for name in self.ids}
        for made_up in (case.path_parameters, case.query, case.body):
            if isinstance(made_up, dict):
                made_up.update((name, value) for name, value in known.items() if name in made_up)


@pytest.fixture
def stage(claviger: Claviger, role: str) -> Iterator[Stage]:
    name = claviger.name()
    claviger.call("PUT", f"organizations/{name}", {})
    claviger.call("PUT", f"workspaces/{name}", {"organizationId": name})
    keys = {}
    for owner in (f"workspaces/{name}", f"organizations/{name}", "platform"):
        keys[owner.split("/")[0]] = claviger.add_key(owner, "openai", claviger.secret("sk-"))
    webhook = claviger.call("POST", f"workspaces/{name}/webhooks", {"url": "https://example.com/hooks"})
    claviger.secrets.append(webhook["secret"])
    token = claviger.call("POST", "tokens", {"name": "found", "role": "member", "workspaceId": name})
    claviger.remember(token["token"])
    ids = {"id": name, "keyId": "", "webhookId": webhook["webhook"]["id"], "sessionId": token["id"]}
    ids |= {"tokens.id": token["id"], **{f"{owner}.keyId": key for owner, key in keys.items()}}
    values = {"providerId": "openai", "workspaceId": name, "organizationId": name, "role": "member", "name": "found"}
    values |= {"apiKey": claviger.secret("sk-"), "url": "https://example.com/hooks", "status": 429}
    yield Stage(headers(claviger, role, name), ids, values)
    # The platform is everybody's, and has room for ten.
    for key in claviger.call("GET", "platform/byok-keys")["keys"]:
        claviger.call("DELETE", "platform/byok-keys", {"providerId": key["providerId"], "keyId": key["id"]})


def headers(claviger: Claviger, role: str, workspace: str) -> dict[str, str]:
    if role == "nobody":
        return {}
    plain = role.removesuffix(REVEAL)
    home = None if plain == "service" else workspace
    token = claviger.root_token if role == "root" else claviger.token(home, plain, reveal=plain != role)
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def test_the_document_is_the_one_that_is_served(claviger: Claviger) -> None:
    served = httpx2.get(f"{claviger.url}/openapi.json", timeout=DEADLINE_S)
    assert served.text == DOCUMENT.read_text()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_no_answer_is_undocumented(
    claviger: Claviger,
    session: requests.Session,
    stage: Stage,
    operation: schemathesis.schemas.APIOperation,
    role: str,
) -> None:
    @settings(
        max_examples=EXAMPLES.get(role, FEWER_EXAMPLES),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=CASES[operation.label])
    def ask(case: Case) -> None:
        # Not by chance, so that a failure comes back when it is looked for.
        way = zlib.crc32(repr(case).encode()) % 5
        if way:
            stage.turn(case, is_there=way > 1)
        case.call_and_validate(
            base_url=claviger.url, session=session, headers=stage.headers, checks=CHECKS, timeout=DEADLINE_S
        )

    ask()
