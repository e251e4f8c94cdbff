"""The models an owner has configured, as values."""

from dataclasses import dataclass

from akshi_mesh.inference.providers import Provider, path_of
from sandbox.endpoint import Url
from sandbox.prompt import Price


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """One `[[router.routes]]`: a model, and what asking it costs."""

    name: str
    provider: Provider
    base_url: Url
    model: str
    max_tokens: int
    timeout_s: float
    price: Price | None = None
    needs_key: bool = False

    @property
    def is_local(self) -> bool:
        address = self.base_url.address
        return self.base_url.host == "localhost" or (address is not None and address.is_loopback)

    @property
    def url(self) -> Url:
        return Url.parse(str(self.base_url).rstrip("/") + path_of(self.provider))

    @property
    def user(self) -> str:
        """Under which name its key is kept: `--agent route.NAME`."""
        return f"route.{self.name}"


@dataclass(frozen=True, slots=True)
class RouterSpec:
    """All routes, and the one of those who name none."""

    routes: tuple[RouteSpec, ...] = ()
    default_route: str | None = None
