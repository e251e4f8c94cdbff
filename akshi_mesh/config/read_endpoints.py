"""[agents.endpoints] allowed: where an agent may send requests, as texts or as tables."""

from dataclasses import replace
from typing import Any

from akshi_mesh.config.read_secrets import read_endpoint_secret
from akshi_mesh.config.section import Section
from sandbox.agent_spec import ALLOWED_MAX
from sandbox.endpoint import METHODS, EndpointRule
from sandbox.errors import MalformedEndpoint
from sandbox.secrets import SecretSource


def read_endpoints(
    section: Section, agent: str
) -> tuple[tuple[EndpointRule, ...], tuple[SecretSource, ...]]:
    """The rules of `agent`, and the secrets that its tables name; what is wrong is reported."""
    endpoints = section.table("endpoints")
    if endpoints is None:
        return (), ()
    rules: list[EndpointRule] = []
    sources: list[SecretSource] = []
    for item in endpoints.texts_or_tables("allowed"):
        if isinstance(item, Section):
            rule = _read_table(item)
            source = read_endpoint_secret(item, agent, rule) if rule is not None else None
            sources += [source] if source is not None else []
            item.close()
        else:
            rule = _read_text(endpoints, item)
        rules += [rule] if rule is not None else []
    if len(rules) > ALLOWED_MAX:
        endpoints.wrong("allowed", f"more than {ALLOWED_MAX} endpoints")
    endpoints.close()
    return tuple(rules), tuple(sources)


def _read_text(endpoints: Section, text: str) -> EndpointRule | None:
    try:
        return EndpointRule.parse(text)
    except MalformedEndpoint as malformed:
        endpoints.wrong("allowed", str(malformed))
        return None


def _read_table(table: Section) -> EndpointRule | None:
    table.gone("domain", "write host")
    table.gone("url", "write host, port and path")
    table.gone("path_prefix", "write path")
    host = table.text("host", "")
    more: dict[str, Any] = {
        "is_private": table.flag("private"),
        "follows": table.flag("redirects"),
    }
    if "port" in table:
        more["port"] = table.whole("port", 443)
    if "path" in table:
        more["path"] = table.text("path", "/").removesuffix("/") or "/"
    if "methods" in table:
        more["methods"] = EndpointRule.read_methods(table.texts("methods"))
        if not more["methods"]:
            table.wrong("methods", "'methods' is empty: leave it out to mean every method")
            return None
    if "host" not in table:
        table.wrong(None, "an endpoint needs a 'host'")
        return None
    if " " in host:
        table.wrong("host", "'host' is a host alone; the rest has keys of its own")
        return None
    try:
        rule = EndpointRule.parse(host)
        for key, is_written in (("path", rule.path != "/"), ("methods", rule.methods != METHODS)):
            if key in more and is_written:
                raise MalformedEndpoint(host, why=f"it has a {key} already")
        return replace(rule, **more)
    except MalformedEndpoint as malformed:
        table.wrong("host", str(malformed))
        return None
