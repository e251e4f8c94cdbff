"""Who is speaking: DIDs and keys, strict CBOR, signed envelopes, and whom we trust.

The deciding half is re-exported here; `identity.files` touches the disk and is imported by name.
"""

from identity import cbor, cose, envelope, errors, grants, trust
from identity.caps import CapRight, DailySpend, Scope
from identity.did import Did
from identity.envelope import Envelope, Kind, open_envelope, seal
from identity.errors import IdentityError
from identity.keys import (
    SignedFormat,
    SigningKey,
    check_public_key,
    twin,
    verify,
    x25519_public,
)
from identity.rights import Right
from identity.trust import Trusted, TrustStore

__all__ = [
    "CapRight",
    "DailySpend",
    "Did",
    "Envelope",
    "IdentityError",
    "Kind",
    "Right",
    "Scope",
    "SignedFormat",
    "SigningKey",
    "TrustStore",
    "Trusted",
    "cbor",
    "check_public_key",
    "cose",
    "envelope",
    "errors",
    "grants",
    "open_envelope",
    "seal",
    "trust",
    "twin",
    "verify",
    "x25519_public",
]
