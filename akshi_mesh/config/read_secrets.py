"""[[secrets]] and secret_env_var: where secrets go. Values never stand in the file."""

import re
from collections.abc import Sequence

from akshi_mesh.config.section import Section
from sandbox.agent_spec import AgentSpec
from sandbox.endpoint import EndpointRule
from sandbox.errors import MalformedSecret
from sandbox.secrets import (
    FORMAT_DEFAULT,
    HEADER_DEFAULT,
    SecretBinding,
    SecretSource,
)

SECRETS_MAX = 256  # tables; each request is held against all of them
VARIABLE_KEY = "secret_env_var"
# POSIX.1-2017 §8.1, in either case; also a name of a secret.
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_VALUES = ("value", "secret", "token", "key", "password")


def read_secrets(root: Section) -> tuple[SecretSource, ...]:
    """The [[secrets]] tables; what is wrong with them is reported."""
    sources: dict[SecretBinding, SecretSource] = {}
    for number, section in enumerate(root.tables("secrets")):
        if number == SECRETS_MAX:
            section.wrong(None, f"more than {SECRETS_MAX} tables [[secrets]]")
            break
        source = _read_source(section)
        if source is None:
            continue
        if source.binding in sources:
            section.wrong(None, f"secret {source.binding.name!r} goes to the same place twice")
        sources[source.binding] = source
    return tuple(sources.values())


def check_owners(root: Section, agents: Sequence[AgentSpec]) -> None:
    """Say which secrets are for an agent that is not here; rails and routes have a dot."""
    known = {spec.name for spec in agents}
    for section in root.tables("secrets"):
        owner = section.text("agent", "")
        if owner and owner not in known and not owner.startswith(("rail.", "route.")):
            section.note("agent", f"there is no agent {owner!r}, so this secret goes nowhere")


def read_endpoint_secret(section: Section, agent: str, rule: EndpointRule) -> SecretSource | None:
    """The secret of one endpoint table of `agent`, if it has `secret_env_var`.

    The secret has the name of the variable, and goes where `rule` allows and nowhere else.
    """
    header = section.text("header", HEADER_DEFAULT)
    format_ = section.text("format", FORMAT_DEFAULT)
    variable = _variable(section)
    if variable is None:
        for key in ("header", "format"):
            if key in section:
                section.wrong(
                    key, f"{key!r} says how a secret is sent, so it wants {VARIABLE_KEY!r}"
                )
        return None
    try:
        place = EndpointRule(rule.host, rule.scheme, rule.port, rule.path, rule.methods)
        return SecretSource(SecretBinding(variable, place, agent, header, format_), variable)
    except MalformedSecret as malformed:
        section.wrong(VARIABLE_KEY, str(malformed))
        return None


def _read_source(section: Section) -> SecretSource | None:
    for key in _VALUES:
        section.gone(key, "no value stands in a file; akshi-node secrets set NAME reads it")
    name, endpoint = section.text("name", ""), section.text("endpoint", "")
    methods = section.texts("methods")
    agent = section.text("agent", "") if "agent" in section else None
    header = section.text("header", HEADER_DEFAULT)
    format_ = section.text("format", FORMAT_DEFAULT)
    variable = _variable(section)
    missing = [key for key in ("name", "endpoint") if key not in section]
    for key in missing:
        section.wrong(None, f"a secret needs {'an' if key == 'endpoint' else 'a'} {key!r}")
    section.close()
    if missing:
        return None
    if "methods" in section and not methods:
        section.wrong("methods", "'methods' is empty: leave it out to mean every method")
        return None
    try:
        binding = SecretBinding.parse(
            name, endpoint, methods=methods, agent=agent, header=header, format=format_
        )
    except MalformedSecret as malformed:
        section.wrong(None, str(malformed))
        return None
    return SecretSource(binding, variable)


def _variable(section: Section) -> str | None:
    if VARIABLE_KEY not in section:
        return None
    variable = section.text(VARIABLE_KEY, "")
    if not _VARIABLE.fullmatch(variable):
        # It may be the secret itself, written in the wrong place: it is not repeated.
        section.wrong(VARIABLE_KEY, f"{VARIABLE_KEY!r} wants the name of an environment variable")
        return None
    return variable
