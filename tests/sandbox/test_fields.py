"""Every word of a guest that could matter is judged, and what was judged is on record."""

import json

import pytest

from sandbox.agent_spec import AgentSpec
from sandbox.approvals import ApprovalRule, Approved
from sandbox.audit import AuditRecord, Event
from sandbox.capability import Capability
from sandbox.endpoint import EndpointRule
from sandbox.fetch import HEADERS_MAX
from sandbox.fields import fields_of
from sandbox.gate import Ask, Begin, Consult, Recall, Record, host_call
from sandbox.mcp_server import McpServerSpec
from sandbox.request import Request, read_request
from sandbox.risk import Tier, recomputed
from sandbox.risk_defaults import DEFAULTS
from tests.sandbox.fakes import spec
from tests.sandbox.test_policy import STATE

LONGEST = "x" * 64  # of a header's name


def fetch(**wish: object) -> Request:
    return read_request(0, "http-fetch.fetch", (json.dumps({"url": "https://a.org/", **wish}),))


def call(**arguments: object) -> Request:
    return read_request(0, "mcp.call-tool", ("files", "read", json.dumps(arguments)))


def test_a_request_is_judged_by_everything_it_sets() -> None:
    request = fetch(url="https://a.org/?q=1", method="POST", headers={"X-Api": "1"}, body="x")
    assert fields_of(request) == (
        "http_fetch.url",
        "http_fetch.method.POST",
        "http_fetch.headers.x-api",
        "http_fetch.query",
        "http_fetch.body",
    )
    assert fields_of(fetch()) == ("http_fetch.url", "http_fetch.method.GET")
    assert "http_fetch.payment" in fields_of(fetch(payment="9f" * 16))


def test_a_prompt_is_judged_by_its_own_fields() -> None:
    prompt = json.dumps({"messages": [{"role": "user", "content": "hi"}], "model": "small"})
    request = read_request(0, "inference.prompt", (prompt,))
    assert "inference.model" in fields_of(request)
    assert all(field.startswith("inference.") for field in fields_of(request))


def test_what_reaches_nothing_but_the_task_has_no_fields() -> None:
    assert fields_of(read_request(0, "task.now", ())) == ()
    assert fields_of(read_request(0, "journal.append", ("t", "x"))) == ("journal.append",)


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        ({"limit": 1}, {"limit"}),
        ({"LIMIT": 1}, {"limit"}),
        ({"a": {"limit": {"amount": 1}}}, {"a", "limit", "amount"}),
        ({"a": [[{"amount": 1}]]}, {"a", "amount"}),
        ({"a": []}, {"a"}),
        # A dot, a bracket or a quote in a key makes one unknown key and nothing else.
        ({"limit.page": 1}, {'"limit.page"'}),
        ({"limit[]": 1}, {'"limit[]"'}),
        ({'x".limit."y': 1}, {'"x\\".limit.\\"y"'}),
        ({"a": {"x.y": {"limit": 1}}}, {"a", '"x.y"', "limit"}),
        ({"\\": {"a": 1}}, {'"\\\\"', "a"}),
    ],
    ids=str,
)
def test_nesting_case_arrays_and_odd_keys_hide_nothing(
    arguments: dict[str, object], keys: set[str]
) -> None:
    tool, *found = fields_of(call(**arguments))
    assert tool == "mcp.tool.files/read"
    assert set(found) == {f"mcp.arguments.{key}" for key in keys}
    odd = [field for field in found if '"' in field]
    assert all(judged.tier is Tier.HIGH for judged in DEFAULTS.assess(odd).fields)


@pytest.mark.parametrize(
    "request_",
    [
        fetch(headers={f"X-Header-{n}": "1" for n in range(HEADERS_MAX)}),
        fetch(
            method="POST",
            body="x",
            headers={f"{LONGEST[:-2]}{n:02}": "1" for n in range(HEADERS_MAX)},
        ),
        call(**{f"argument-{n}": n for n in range(40)}),
        call(**{f"{n:03}{'y' * 300}": n for n in range(40)}),
        call(**{"\u202e\x1b" + chr(0x4E00 + n) * 80: n for n in range(40)}),
    ],
    ids=["headers", "long headers", "arguments", "long arguments", "odd arguments"],
)
def test_a_call_with_forty_words_is_recorded_and_its_score_comes_back(request_: Request) -> None:
    step = _recorded(
        request_,
        spec(
            endpoints=(EndpointRule.parse("a.org"),),
            mcp_servers=(McpServerSpec("files", argv=("/bin/server",), tools=("read",)),),
            approval={capability: ApprovalRule("always") for capability in Capability},
        ),
    )
    ids = (bytes(32), 0, request_.function.name, "", "", request_.hash)
    record = AuditRecord(1, Event.ALLOWED, "a", "b", *ids, facts=step.facts)
    read = AuditRecord.from_cbor(record.to_cbor())
    assert read.fact("approval") == "apr-1"
    risk = recomputed(read.facts)
    assert (risk.tier.value, str(risk.score)) == (read.fact("tier"), read.fact("score"))
    judged = DEFAULTS.assess(fields_of(request_))
    assert {*risk.fields} == {*judged.fields}
    assert (risk.tier, risk.score) == (judged.tier, judged.score)


def _recorded(request: Request, config: AgentSpec) -> Record:
    script = host_call(request, config)
    step = next(script)
    while not isinstance(step, Record):
        assert isinstance(step, Recall | Consult | Ask | Begin), step
        answers = {Consult: STATE, Ask: Approved("apr-1")}
        step = script.send(answers.get(type(step)))
    return step
