"""The OpenAPI 3.1 document of the API, made from the operations themselves."""

import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from akshi_mesh.api.errors import ALL
from akshi_mesh.api.operations import OPERATIONS, Kind, Operation

_SCALARS: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    Any: {},
}
_PARAMETERS: dict[Kind, dict[str, Any]] = {
    "text": {"type": "string"},
    "texts": {"type": "array", "items": {"type": "string"}},
    "whole": {"type": "integer"},
    "number": {"type": "number"},
    "bytes": {"type": "string", "pattern": "^([0-9a-f]{2})*$"},
}


def document(*, version: str) -> dict[str, Any]:
    """The whole document; `version` is the release of the node."""
    shapes: dict[str, Any] = {
        "Error": {
            "type": "object",
            "required": ["error", "hint", "exit"],
            "properties": {
                "error": {"type": "string"},
                "hint": {"type": "string"},
                "exit": {"type": "integer", "description": "exit code of the command line"},
            },
        }
    }
    paths = {f"/v1/{name}": {"post": _post(op, shapes)} for name, op in OPERATIONS.items()}
    paths["/openapi.json"] = {
        "get": {
            "operationId": "openapi",
            "summary": "This document.",
            "responses": {"200": {"description": "the document"}, **_refusals()},
        }
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "akshi-node", "version": version},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": shapes,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _post(operation: Operation, shapes: dict[str, Any]) -> dict[str, Any]:
    properties = {}
    for parameter in operation.parameters:
        kind = _PARAMETERS[parameter.kind]
        null = {"type": "null"}
        properties[parameter.name] = {"anyOf": [kind, null]} if parameter.is_optional else kind
    required = [parameter.name for parameter in operation.parameters if not parameter.is_optional]
    body = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    media = "application/x-ndjson" if operation.streams else "application/json"
    answer = {media: {"schema": _schema(operation.answer, shapes)}}
    return {
        "operationId": operation.name,
        "summary": operation.summary,
        "requestBody": {"content": {"application/json": {"schema": body}}},
        "responses": {"200": {"description": "done", "content": answer}, **_refusals()},
    }


def _refusals() -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        str(kind.http_status): {
            "description": (kind.__doc__ or "").partition("\n")[0],
            "content": content,
        }
        for kind in ALL
    }


def _schema(annotation: Any, shapes: dict[str, Any]) -> dict[str, Any]:
    """The JSON schema of one annotation of `api/shapes.py`; named shapes go into `shapes`."""
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if is_typeddict(annotation):
        name = annotation.__name__
        if name not in shapes:
            shapes[name] = {}  # taken, should the shape hold itself
            hints = get_type_hints(annotation)
            shapes[name] = {
                "type": "object",
                "required": list(hints),
                "properties": {key: _schema(hint, shapes) for key, hint in hints.items()},
            }
        return {"$ref": f"#/components/schemas/{name}"}
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is list:
        return {"type": "array", "items": _schema(arguments[0], shapes)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(arguments[1], shapes)}
    if origin is Literal:
        return {"enum": list(arguments)}
    assert origin in (Union, types.UnionType), f"no schema for {annotation}"
    return {"anyOf": [_schema(argument, shapes) for argument in arguments]}
