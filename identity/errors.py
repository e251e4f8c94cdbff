"""Everything `identity` raises on purpose.

Choose by who must act, not by where it happened:

    Malformed…        no correct program writes this     -> drop it, and whoever sent it
    BadSignature      the author did not sign these bytes -> likewise
    UnknownKind       perhaps a newer node               -> refuse politely
    WrongAudience,
    Expired,
    FromTheFuture     signed, but not for us or not now  -> refuse, keep the link
    TrustRefused      the operator asks for the unsafe   -> tell the operator
    KeyFileError      the disk is not as it must be      -> tell the operator

Messages are one line; the facts are attributes; `hint` is the remedy where one exists. A bug in our
own code is an `AssertionError`; nobody catches it.
"""


class IdentityError(Exception):
    """Root of the package; catch it only at the edge of the node."""

    hint: str | None = None


# --- nonsense, refused wherever it comes from -----------------------------------------------------


class MalformedDid(IdentityError, ValueError):
    def __init__(self, text: str, *, why: str) -> None:
        shown = text if len(text) <= 80 else text[:79] + "…"
        super().__init__(f"did {shown!r}: {why}")
        self.text = text
        self.why = why


class MalformedCbor(IdentityError, ValueError):
    def __init__(self, why: str) -> None:
        super().__init__(f"cbor: {why}")
        self.why = why


class MalformedCose(IdentityError, ValueError):
    def __init__(self, why: str) -> None:
        super().__init__(f"cose_sign1: {why}")
        self.why = why


class MalformedEnvelope(IdentityError, ValueError):
    """Not an envelope, or one that breaks the rules of its kind."""

    def __init__(self, why: str) -> None:
        super().__init__(f"envelope: {why}")
        self.why = why


class EnvelopeTooLarge(MalformedEnvelope):
    def __init__(self, size_bytes: int, *, bytes_max: int) -> None:
        super().__init__(f"{size_bytes} bytes, at most {bytes_max} are allowed")
        self.size_bytes = size_bytes
        self.bytes_max = bytes_max


class MalformedBody(MalformedEnvelope):
    """A signed envelope whose body is not what its kind carries."""


class MalformedCid(IdentityError, ValueError):
    def __init__(self, text: str, *, why: str) -> None:
        super().__init__(f"cid {text[:80]!r}: {why}")
        self.text = text
        self.why = why


class MalformedRight(IdentityError, ValueError):
    hint = "--allow a2a:AGENT or --allow journal:NAME, where * stands for any run of characters"

    def __init__(self, text: str, *, why: str) -> None:
        super().__init__(f"right {text[:80]!r}: {why}")
        self.text = text
        self.why = why


class MalformedCap(IdentityError, ValueError):
    hint = "--cap NAME or --cap NAME:SCOPE, such as filesystem:notes or http_fetch:api.example.com"

    def __init__(self, text: str, *, why: str) -> None:
        super().__init__(f"capability {text[:80]!r}: {why}")
        self.text = text
        self.why = why


class MalformedGrant(IdentityError, ValueError):
    """Not a chain of grants, or one that no correct program writes."""

    def __init__(self, why: str) -> None:
        super().__init__(f"grant: {why}")
        self.why = why


class MalformedTrust(IdentityError, ValueError):
    """A trust store, or one entry of it, that cannot be."""

    def __init__(self, why: str) -> None:
        super().__init__(f"trust: {why}")
        self.why = why


# --- what an envelope says, and we do not accept --------------------------------------------------


class BadSignature(IdentityError):
    """The author did not sign these bytes for this network. Never honest: drop the link."""

    def __init__(self, public_key: bytes) -> None:
        super().__init__(f"bad signature under key {public_key.hex()}")
        self.public_key = public_key


class UnknownKind(IdentityError):
    """A content type that this program does not know, or not here. May be a newer node."""

    def __init__(self, content_type: str) -> None:
        super().__init__(f"unknown kind {content_type[:80]!r}")
        self.content_type = content_type


class UnexpectedKind(IdentityError):
    """A valid envelope of a kind that does not belong here."""

    def __init__(self, kind: str, *, wanted: str) -> None:
        super().__init__(f"an envelope of kind {kind} where {wanted} belongs")
        self.kind = kind
        self.wanted = wanted


class WrongAudience(IdentityError):
    """Meant for somebody else: a relay of what was not for us."""

    def __init__(self, audience: bytes) -> None:
        super().__init__(f"the audience is {audience.hex()}, not this node")
        self.audience = audience


class Expired(IdentityError):
    def __init__(self, expires_ms: int, *, now_ms: int) -> None:
        super().__init__(f"expired at {expires_ms} ms, and it is {now_ms} ms")
        self.expires_ms = expires_ms
        self.now_ms = now_ms


class FromTheFuture(IdentityError):
    """Issued later than our clock and the allowed skew. May be honest: keep the link."""

    hint = "compare the clocks of both machines"

    def __init__(self, issued_ms: int, *, now_ms: int) -> None:
        super().__init__(f"issued at {issued_ms} ms, and it is only {now_ms} ms")
        self.issued_ms = issued_ms
        self.now_ms = now_ms


# --- keys -----------------------------------------------------------------------------------------


class WeakKey(IdentityError, ValueError):
    """A public key that no honest key generation gives: small order, mixed order, non-canonical."""

    def __init__(self, public_key: bytes) -> None:
        super().__init__(f"weak or malformed ed25519 key {public_key.hex()[:80]}")
        self.public_key = public_key


class MalformedKey(IdentityError, ValueError):
    """Secret key material of the wrong length; the message never holds any of it."""


class WrongFormat(IdentityError, ValueError):
    """A message that does not begin as its signed format must; signing it could be misread."""

    def __init__(self, wanted: str) -> None:
        super().__init__(f"the message does not begin as format {wanted} does")
        self.wanted = wanted


# --- trust ----------------------------------------------------------------------------------------


class TrustRefused(IdentityError):
    """The operator asked for trust that would not be safe; nothing was changed."""


class GrantRefused(TrustRefused):
    """Signed, and not to be honoured: it gives more than its issuer had, or is not for us."""

    def __init__(self, why: str) -> None:
        super().__init__(f"grant refused: {why}")
        self.why = why


class TwinOfTrusted(TrustRefused):
    hint = "akshi-node trust remove the other one first, if this is the one that is meant"

    def __init__(self, did: str, *, twin: str) -> None:
        super().__init__(f"{did} is the twin of {twin}, which is trusted: they share one secret")
        self.did = did
        self.twin = twin


class KeyRevoked(TrustRefused):
    hint = "ask its owner for the new did; a revoked one never comes back"

    def __init__(self, did: str) -> None:
        super().__init__(f"{did} was revoked by its owner")
        self.did = did


class PetnameTaken(TrustRefused):
    hint = "choose another --name"

    def __init__(self, petname: str, *, did: str) -> None:
        super().__init__(f"the name {petname!r} belongs to {did}")
        self.petname = petname
        self.did = did


class NotTrusted(TrustRefused):
    def __init__(self, did: str) -> None:
        super().__init__(f"not trusted: {did}")
        self.did = did
        self.hint = f"akshi-node trust add {did}"


# --- files ----------------------------------------------------------------------------------------


class KeyFileError(IdentityError):
    """A file of the security directory that we will not use as it is."""

    def __init__(self, path: str, why: str, *, hint: str | None = None) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why
        self.hint = hint


class FileMissing(KeyFileError):
    def __init__(self, path: str) -> None:
        super().__init__(path, "no such file", hint="akshi-node init")


class FileExists(KeyFileError):
    def __init__(self, path: str) -> None:
        super().__init__(path, "exists already, and a key is never overwritten")


class UnsafeFile(KeyFileError):
    """Readable by others, a link, or not ours."""


class MalformedKeyFile(KeyFileError, ValueError):
    """Not a key in a form that we read."""


class PassphraseNeeded(KeyFileError):
    def __init__(self, path: str) -> None:
        super().__init__(path, "sealed with a passphrase", hint="--passphrase")


class WrongPassphrase(KeyFileError):
    def __init__(self, path: str) -> None:
        super().__init__(path, "wrong passphrase, or a damaged file")
