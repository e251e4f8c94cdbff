"""What `import identity` gives, and what it must not cost."""

import subprocess
import sys

import identity
from identity import errors


def test_the_names_that_others_rely_on_are_there() -> None:
    assert identity.Did.parse
    assert identity.SigningKey.from_seed
    assert identity.verify
    assert identity.errors.IdentityError is identity.IdentityError
    assert identity.cbor.loads(identity.cbor.dumps([1])) == [1]
    assert identity.envelope.seal
    assert identity.envelope.open_envelope


def test_it_loads_neither_multiformats_nor_trio() -> None:
    """multiformats costs up to 220 ms; whoever never names a wasm file must not pay for it."""
    script = (
        "import sys, identity, identity.files, identity.attestation, identity.cid;"
        "print([name for name in ('multiformats', 'trio', 'asyncio') if name in sys.modules])"
    )
    asked = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    assert asked.stdout == "[]\n"


def test_every_error_is_an_identity_error() -> None:
    own = [found for found in vars(errors).values() if isinstance(found, type)]
    assert len(own) > 20
    assert all(issubclass(found, identity.IdentityError) for found in own)
