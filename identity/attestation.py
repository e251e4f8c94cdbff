"""A node says: this key is my agent, this is its code, this is what it may do, until then.

An agent's key is derived from its node's and has no rights of its own; with this envelope (kind
`attestation`, signed by the node) it speaks for the agent of that name. The body is the map

    {1: agent's public key, 2: name, 3: CID of its wasm file, 4: [capability, …] sorted}

and the end of the attestation is the end of the envelope.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NoReturn

from identity import cbor, envelope
from identity.cid import wasm_digest
from identity.errors import (
    IdentityError,
    MalformedBody,
    MalformedCbor,
    MalformedCid,
    UnexpectedKind,
    WeakKey,
)
from identity.keys import SigningKey, check_public_key

NAME_BYTES_MAX: Final = 255
CAPABILITIES_MAX: Final = 64  # there are eight
CAPABILITY_BYTES_MAX: Final = 255
_AGENT, _NAME, _WASM_CID, _CAPABILITIES = range(1, 5)


@dataclass(frozen=True, slots=True)
class Attestation:
    """What a node vouches for; `node` is proven by the signature, the rest is its word."""

    agent: bytes
    node: bytes
    name: str
    wasm_cid: str
    capabilities: tuple[str, ...]
    until_ms: int


def attest(
    node_key: SigningKey,
    agent_public_key: bytes,
    *,
    name: str,
    wasm_cid: str,
    capabilities: Iterable[str],
    network: str,
    nonce: bytes,
    issued_ms: int,
    until_ms: int,
) -> bytes:
    """Vouch for an agent until the wall clock `until_ms`.

    Raises:
        MalformedBody: a weak key, no name, no CID, a capability that is not text.
        MalformedEnvelope: as `envelope.seal`.
    """
    body: dict[int, cbor.Value] = {
        _AGENT: agent_public_key,
        _NAME: name,
        _WASM_CID: wasm_cid,
        _CAPABILITIES: sorted(set(capabilities)),
    }
    _check(body)
    return envelope.seal(
        node_key,
        kind=envelope.Kind.ATTESTATION,
        body=cbor.dumps(body),
        network=network,
        nonce=nonce,
        issued_ms=issued_ms,
        expires_ms=until_ms,
    )


def open_attestation(
    data: bytes, *, network: str, now_ms: int, clock_high_ms: int = 0
) -> Attestation:
    """Check `data` in full and return what its node vouches for.

    Raises:
        UnexpectedKind, MalformedBody, and what `open_envelope` raises.
    """
    opened = envelope.open_envelope(
        data, network=network, me=None, now_ms=now_ms, clock_high_ms=clock_high_ms
    )
    if opened.kind is not envelope.Kind.ATTESTATION:
        raise UnexpectedKind(opened.kind.value, wanted=envelope.Kind.ATTESTATION.value)
    try:
        body = cbor.loads(opened.body)
    except MalformedCbor as failure:
        raise MalformedBody(failure.why) from failure
    agent, name, wasm_cid, capabilities = _check(body)
    assert opened.expires_ms is not None, "the rule of this kind"
    return Attestation(agent, opened.author, name, wasm_cid, capabilities, opened.expires_ms)


def _check(body: cbor.Value) -> tuple[bytes, str, str, tuple[str, ...]]:
    if type(body) is not dict or list(body) != [_AGENT, _NAME, _WASM_CID, _CAPABILITIES]:
        _refuse("an attestation is the map {1, 2, 3, 4}")
    agent, name, wasm_cid, capabilities = body.values()
    if type(agent) is not bytes:
        _refuse("the agent is a public key")
    if not _is_text(name, NAME_BYTES_MAX):
        _refuse(f"the name is text of 1 to {NAME_BYTES_MAX} bytes")
    if type(capabilities) is not list or len(capabilities) > CAPABILITIES_MAX:
        _refuse(f"the capabilities are an array of at most {CAPABILITIES_MAX}")
    if not all(_is_text(capability, CAPABILITY_BYTES_MAX) for capability in capabilities):
        _refuse(f"a capability is text of 1 to {CAPABILITY_BYTES_MAX} bytes")
    if capabilities != sorted(set(capabilities)):
        _refuse("the capabilities are sorted, each once")
    try:
        check_public_key(agent)
        wasm_digest(wasm_cid)
    except (WeakKey, MalformedCid) as failure:
        _refuse(str(failure), failure)
    return agent, name, wasm_cid, tuple(capabilities)


def _is_text(value: object, bytes_max: int) -> bool:
    return type(value) is str and 0 < len(value.encode()) <= bytes_max


def _refuse(why: str, cause: IdentityError | None = None) -> NoReturn:
    raise MalformedBody(why) from cause
