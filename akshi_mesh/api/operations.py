"""The methods of `Control`, as the server, the OpenAPI document and the tests see them.

There is no second list: an operation is a method of the Protocol, its parameters are the
method's, its answer is what the method is annotated to return. ``POST /v1/NAME`` takes the
parameters as one JSON object; one that may be None may be left out; bytes are written in hex.
"""

import inspect
import types
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from akshi_mesh.api.control import Control
from akshi_mesh.api.errors import BadRequest

Kind = Literal["text", "texts", "whole", "number", "bytes"]

_KINDS: dict[Any, Kind] = {
    str: "text",
    Sequence[str]: "texts",
    int: "whole",
    float: "number",
    bytes: "bytes",
}
WHOLE_MAX = 2**53 - 1  # what every JSON reader keeps exact


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value that an operation takes."""

    name: str
    kind: Kind
    is_optional: bool

    def read(self, value: object) -> Any:
        """`value` as the method wants it.

        Raises:
            BadRequest: not of this kind.
        """
        if value is None and self.is_optional:
            return None
        match self.kind:
            case "text" if _is_text(value):
                return value
            case "texts" if type(value) is list and all(map(_is_text, value)):
                return tuple(value)
            case "whole" if type(value) is int and -WHOLE_MAX <= value <= WHOLE_MAX:
                return value
            case "number" if type(value) in (int, float) and _is_finite(value):
                return float(value)  # type: ignore[arg-type]
            case "bytes" if type(value) is str:
                try:
                    return bytes.fromhex(value)
                except ValueError as failure:
                    raise BadRequest(f"{self.name!r} wants bytes in hex") from failure
            case _:
                wanted = _WANTED[self.kind] + (" or null" if self.is_optional else "")
                raise BadRequest(f"{self.name!r} wants {wanted}")


_WANTED: dict[Kind, str] = {
    "text": "text",
    "texts": "a list of texts",
    "whole": "a whole number",
    "number": "a finite number",
    "bytes": "bytes in hex",
}


def _is_text(value: object) -> bool:
    """Text that can be written down: without half of a surrogate pair."""
    if type(value) is not str:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_finite(value: object) -> bool:
    assert isinstance(value, int | float)
    return -WHOLE_MAX <= value <= WHOLE_MAX


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of `Control`. If it `streams`, its answer is one JSON object a line."""

    name: str
    summary: str
    parameters: tuple[Parameter, ...]
    answer: Any
    streams: bool

    def arguments(self, body: object) -> Mapping[str, Any]:
        """Keyword arguments for the method, from a decoded JSON body.

        Raises:
            BadRequest: not an object, a parameter too many, too few, or of the wrong kind.
        """
        if type(body) is not dict:
            raise BadRequest("want a json object")
        known = {parameter.name for parameter in self.parameters}
        for name in body:
            if name not in known:
                raise BadRequest(f"{self.name} takes no {str(name)[:80]!r}")
        for parameter in self.parameters:
            if parameter.name not in body and not parameter.is_optional:
                raise BadRequest(f"{self.name} needs {parameter.name!r}")
        return {
            parameter.name: parameter.read(body.get(parameter.name))
            for parameter in self.parameters
        }


def _operation(name: str, method: Any) -> Operation:
    hints = get_type_hints(method)
    answer = hints.pop("return")
    streams = get_origin(answer) is AsyncIterator
    parameters = []
    for parameter_name, annotation in hints.items():
        arms = get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
        is_optional = type(None) in arms
        (kind,) = (_KINDS[arm] for arm in arms if arm is not type(None))
        parameters.append(Parameter(parameter_name, kind, is_optional))
    return Operation(
        name=name,
        summary=(inspect.getdoc(method) or "").partition("\n")[0],
        parameters=tuple(parameters),
        answer=get_args(answer)[0] if streams else answer,
        streams=streams,
    )


OPERATIONS: Mapping[str, Operation] = {
    name: _operation(name, method)
    for name, method in vars(Control).items()
    if not name.startswith("_") and inspect.isfunction(method)
}
