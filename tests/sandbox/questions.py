"""Questions to a person, for the tests of whoever asks, keeps or answers them."""

from typing import Any

from sandbox.approvals import Question, Subject, digest_of, nonce_of
from sandbox.capability import Capability
from sandbox.risk import Judged, Risk, Tier

TASK = bytes(32)
NUMBER = 7
REQUEST = b'["http-fetch.fetch","{\\"url\\":\\"https://api.example.com/prices\\"}"]'
AGENT_DID = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"


def subject(**changes: Any) -> Subject:
    """What an agent called reader would do; `changes` replace its fields."""
    fields: dict[str, Any] = {
        "agent": "reader",
        "agent_did": AGENT_DID,
        "module_cid": "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy",
        "capability": Capability.HTTP_FETCH,
        "function": "http-fetch.fetch",
        "request_hash": digest_of(REQUEST),
        "originator": AGENT_DID,
        "policy_hash": digest_of(b"policy"),
        "nonce": nonce_of(TASK, NUMBER),
    }
    return Subject(**{**fields, **changes})


SUBJECT = subject()


def question(**changes: Any) -> Question:
    """That subject as a question; what is not given follows from the request and the call."""
    request = changes.get("request", REQUEST)
    task_id, number = changes.get("task_id", TASK), changes.get("number", NUMBER)
    fields: dict[str, Any] = {
        "subject": subject(
            request_hash=digest_of(request),
            nonce=nonce_of(task_id, number),
            agent=changes.pop("agent", "reader"),
            policy_hash=digest_of(changes.pop("policy", b"policy")),
        ),
        "request": request,
        "summary": "GET https://api.example.com/prices",
        "target": "https://api.example.com/prices",
        "risk": Risk.of([Judged("http_fetch.method.GET", Tier.MEDIUM, 10)]),
        "task_id": task_id,
        "number": number,
    }
    return Question(**{**fields, **changes})
