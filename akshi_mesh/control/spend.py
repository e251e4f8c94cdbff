"""Money of a running node, and the switch that ends all spending."""

from akshi_mesh.api.errors import Denied
from akshi_mesh.api.shapes_spend import SpendInfo
from akshi_mesh.parts import Parts
from akshi_mesh.spend.report import spend_info
from akshi_mesh.spend.switch import SWITCH_VARIABLE


class SpendControl:
    """`Control`, as far as it is about money."""

    _parts: Parts

    async def spend_show(self) -> SpendInfo:
        return self._spend_info()

    async def spend_kill(self) -> SpendInfo:
        return self._spend_info(cut_off=self._parts.purse.switch.kill())

    async def spend_resume(self) -> SpendInfo:
        if not self._parts.purse.switch.resume():
            raise Denied(
                f"{SWITCH_VARIABLE} was set when this node started, and nothing overrides it",
                hint=f"unset {SWITCH_VARIABLE}, akshi-node stop, akshi-node run",
            )
        return self._spend_info()

    def _spend_info(self, *, cut_off: int = 0) -> SpendInfo:
        parts = self._parts
        now_ms = parts.clock().wall_ms
        return spend_info(parts.purse, parts.config.agents, wall_ms=now_ms, cut_off=cut_off)
