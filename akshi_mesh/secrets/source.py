"""Every binding and its value, from the box, the environment and the configuration together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from akshi_mesh.secrets.vault import Vault
from sandbox.errors import MalformedSecret
from sandbox.secrets import SecretBinding, SecretSource, check_value


@dataclass(frozen=True, slots=True)
class Held:
    """A binding and its value, or why there is none. Printing it shows no value.

    `source` is `box`, `$VARIABLE`, or `none` for a binding of the configuration without a value.
    """

    binding: SecretBinding
    value: str | None = field(repr=False)
    source: str
    why: str = ""

    @classmethod
    def in_environment(cls, source: SecretSource, environ: Mapping[str, str]) -> Self:
        """The value of the variable, if it is there and can be used."""
        assert source.variable is not None, "a source of the environment"
        shown = f"${source.variable}"
        value = environ.get(source.variable)
        if value is None:
            why = f"the environment variable {source.variable} is not set"
            return cls(source.binding, None, shown, why)
        try:
            check_value(source.binding.name, value)
        except MalformedSecret as malformed:
            return cls(source.binding, None, shown, f"{shown}: {malformed.why}")
        return cls(source.binding, value, shown)


def all_held(
    vault: Vault, sources: tuple[SecretSource, ...], environ: Mapping[str, str]
) -> dict[SecretBinding, Held]:
    """Every binding there is. One in the box goes before the same one in the configuration.

    A binding that the configuration names is only used with a value that was set for exactly
    that binding: who changes the file sends no secret to another place.
    """
    held: dict[SecretBinding, Held] = {}
    for source in sources:
        name = source.binding.name
        if source.variable is not None:
            held[source.binding] = Held.in_environment(source, environ)
        elif name in vault.entries:
            why = f"secret {name!r} was set for another place: akshi-node secrets set {name}"
            held[source.binding] = Held(source.binding, None, "none", why)
        else:
            why = f"secret {name!r} has no value: akshi-node secrets set {name}"
            held[source.binding] = Held(source.binding, None, "none", why)
    for entry in vault.entries.values():
        for binding in entry.bindings:
            held[binding] = Held(binding, entry.value, "box", vault.locked)
    return held
