"""docs/spec/grants.md says what the code does, to the byte."""

import re
from pathlib import Path
from typing import Any

from identity import SigningKey, cbor
from identity.caps import CAPABILITIES, CAPS_MAX
from identity.envelope import open_envelope
from identity.grants import CHAIN_BYTES_MAX, LIFE_MS_MAX, LINKS_MAX, RIGHTS_MAX, open_grant
from tests.vectors.load import vectors

PAGE = (Path(__file__).parents[2] / "docs" / "spec" / "grants.md").read_text()
OURS = vectors("grants")


def examples() -> dict[str, bytes]:
    found = re.findall(r"^```hex (\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return {name: bytes.fromhex(block) for name, block in found}


def test_every_byte_of_the_page_is_recomputed() -> None:
    page = examples()
    assert page.keys() == {"root_body", "child_body", "chain", "id"}
    assert page["chain"].hex() == OURS["accepted"][1]["chain"]
    issuer, middle, holder = (
        SigningKey.from_seed(bytes.fromhex(OURS["seeds"][name])) for name in "CDE"
    )
    now_ms = OURS["now_ms"] + 2_000
    grant = open_grant(
        page["chain"],
        network=OURS["network"],
        now_ms=now_ms,
        holder=holder.public_key,
        issuer=issuer.public_key,
    )
    assert grant.id == page["id"]
    assert grant.keys == (issuer.public_key, middle.public_key, holder.public_key)
    links: Any = cbor.loads(page["chain"])
    for name, link, reader in zip(("root", "child"), links, grant.keys[1:], strict=True):
        opened = open_envelope(link, network=OURS["network"], me=reader, now_ms=now_ms)
        assert opened.body == page[f"{name}_body"]


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    assert f"1 to {LINKS_MAX} byte strings, at most {CHAIN_BYTES_MAX:,} bytes" in PAGE
    assert f"at most {CAPS_MAX} texts" in PAGE
    assert f"at most {RIGHTS_MAX} texts `a2a:GLOB`" in PAGE
    assert LIFE_MS_MAX == 24 * 3_600_000
    for name in CAPABILITIES:
        assert f"`{name}`" in PAGE
    assert len(OURS["refused"]) == 20
