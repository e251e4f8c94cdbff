"""[router] and [[router.routes]]: which models there are, and what they cost."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from akshi_mesh.config.section import Section
from akshi_mesh.inference.providers import PROVIDERS, Provider
from akshi_mesh.inference.routes import RouterSpec, RouteSpec
from sandbox.agent_spec import NAME_PATTERN, AgentSpec
from sandbox.capability import Capability
from sandbox.endpoint import EndpointRule, Url
from sandbox.errors import MalformedEndpoint, MalformedMoney, MalformedSecret, MalformedUrl
from sandbox.prompt import TOKENS_MAX, Price
from sandbox.secrets import SecretBinding, SecretSource
from sandbox.spend import Money

ROUTES_MAX = 64
MODEL_CHARS_MAX = 128
TIMEOUT_S_DEFAULT = 120.0
TIMEOUT_S_MAX = 3_600.0
MAX_TOKENS_DEFAULT = 1_024
OLLAMA_URL = "http://127.0.0.1:11434"
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]{0,63})\}")
_LATER = ("profile", "threshold", "fallback_model", "local_model", "cloud_model")


@dataclass(frozen=True, slots=True)
class Routing:
    """The routes, and where their keys are."""

    spec: RouterSpec
    sources: tuple[SecretSource, ...] = ()


def read_router(root: Section) -> Routing:
    """What is wrong with it is reported."""
    router = root.table("router")
    if router is None:
        return Routing(RouterSpec())
    for key in _LATER:
        router.later(key, f"{key!r} is not in this release: a prompt goes to the route it names")
    timeout_s = _timeout(router, TIMEOUT_S_DEFAULT)
    routes: dict[str, RouteSpec] = {}
    sources: list[SecretSource] = []
    for number, section in enumerate(router.tables("routes")):
        if number == ROUTES_MAX:
            section.wrong(None, f"more than {ROUTES_MAX} routes")
            break
        read = _read_route(section, timeout_s)
        if read is None:
            continue
        spec, source = read
        if spec.name in routes:
            section.wrong("name", f"route {spec.name!r} is there twice")
        routes[spec.name] = spec
        sources += [source] if source is not None else []
    default = _read_default(router, list(routes))
    router.close()
    return Routing(RouterSpec(tuple(routes.values()), default), tuple(sources))


def check_routes(root: Section, agents: Sequence[AgentSpec], routing: Routing) -> None:
    """Say of agents that may ask a model that there is none."""
    if routing.spec.routes:
        return
    for section, spec in zip(root.tables("agents"), agents, strict=True):
        if Capability.INFERENCE in spec.capabilities:
            section.note_below(
                ("capabilities", "inference"),
                "'inference' is granted without [[router.routes]], so there is no model to ask",
            )


def _read_default(router: Section, names: Sequence[str]) -> str | None:
    """The route of prompts that name none: the one that is written, or the only one."""
    if "default_route" not in router:
        return names[0] if len(names) == 1 else None
    name = router.text("default_route", "")
    if name not in names:
        router.wrong("default_route", f"'default_route': there is no route {name[:64]!r}")
    return name


def _read_route(section: Section, timeout_s: float) -> tuple[RouteSpec, SecretSource | None] | None:
    name = section.text("name", "")
    if not NAME_PATTERN.fullmatch(name):
        section.wrong("name", "'name' wants 1 to 64 letters, digits, _, . or -")
        name = ""
    provider: Provider = section.word("provider", PROVIDERS, "openai")
    if "provider" not in section:
        section.wrong(None, 'a route needs a \'provider\', "ollama" or "openai"')
    model = section.text("model", "")
    if not 1 <= len(model) <= MODEL_CHARS_MAX or not model.isprintable():
        section.wrong("model", f"'model' wants 1 to {MODEL_CHARS_MAX} printable characters")
    max_tokens = section.whole("max_tokens", MAX_TOKENS_DEFAULT)
    if not 1 <= max_tokens <= TOKENS_MAX:
        section.wrong("max_tokens", f"'max_tokens' wants 1 to {TOKENS_MAX}")
        max_tokens = MAX_TOKENS_DEFAULT
    url = _read_url(section, provider)
    price = _read_price(section)
    timeout_s = _timeout(section, timeout_s)
    key = section.text("api_key", "") if "api_key" in section else None
    section.close()
    if url is None or not name:
        return None
    spec = RouteSpec(
        name=name,
        provider=provider,
        base_url=url,
        model=model,
        max_tokens=max_tokens,
        timeout_s=timeout_s,
        price=price if price is None or _is_paid(price) else None,
        needs_key=key is not None,
    )
    if not spec.is_local and price is None:
        # A model that costs and has no price would be spending that no cap sees.
        section.wrong(
            None,
            f"route {name!r} is not on this machine, so it needs 'price_in' and 'price_out' a"
            ' million tokens, such as "3.00USD"; "0.00USD" where nothing is paid',
        )
    return spec, _read_key(section, spec, key)


def _is_paid(price: Price) -> bool:
    return price.million_in.micro > 0 or price.million_out.micro > 0


def _read_url(section: Section, provider: Provider) -> Url | None:
    written = section.text("base_url", OLLAMA_URL if provider == "ollama" else "")
    if not written:
        section.wrong(None, "a route of 'openai' needs a 'base_url', such as https://HOST/v1")
        return None
    try:
        url = Url.parse(written)
    except MalformedUrl as malformed:
        section.wrong("base_url", f"'base_url': {malformed}")
        return None
    if url.query:
        section.wrong("base_url", "'base_url' has no query")
        return None
    return url


def _read_price(section: Section) -> Price | None:
    amounts: list[Money] = []
    for key in ("price_in", "price_out"):
        if key not in section:
            continue
        try:
            amounts.append(Money.parse(section.text(key, "")))
        except MalformedMoney as malformed:
            section.wrong(key, f"{key!r}: {malformed}")
            return None
    if not amounts:
        return None
    if len(amounts) == 1:
        section.wrong(None, "'price_in' and 'price_out' belong together")
        return None
    if amounts[0].currency != amounts[1].currency:
        section.wrong("price_out", f"'price_out' wants {amounts[0].currency}, as 'price_in'")
        return None
    return Price(*amounts)


def _read_key(section: Section, spec: RouteSpec, written: str | None) -> SecretSource | None:
    """Where the key is: a variable of the environment, or a secret of that name."""
    if written is None:
        return None
    variable = _VARIABLE.fullmatch(written)
    if variable is None:
        section.wrong(
            "api_key",
            "'api_key' wants \"${VARIABLE}\": no key stands in a file; or leave it out and type"
            f" akshi-node secrets set NAME --endpoint {spec.base_url} --agent {spec.user}",
        )
        return None
    url = spec.url
    try:
        place = EndpointRule(url.host, url.scheme, url.port, url.path, ("POST",))
        return SecretSource(SecretBinding(variable[1], place, spec.user), variable[1])
    except (MalformedSecret, MalformedEndpoint) as malformed:
        section.wrong("api_key", f"'api_key': {malformed}")
        return None


def _timeout(section: Section, default: float) -> float:
    seconds = section.number("timeout_secs", default)
    if not 0 < seconds <= TIMEOUT_S_MAX:
        section.wrong(
            "timeout_secs", f"'timeout_secs' wants more than 0, at most {TIMEOUT_S_MAX:g}"
        )
        return default
    return seconds
