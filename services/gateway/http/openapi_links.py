"""Links of the description (OpenAPI 3.1): which answer's id is which other call's parameter."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_REQUEST: Final = "/api/requests/{request_id}"
_ABOUT: Final = {"/api/revenue/explain/{deployment_id}": "/api/deployments"}
"""Calls about a thing that do not stand below its list."""


def add_links(found: dict[str, Any]) -> None:
    """Link what makes or lists things with the calls about one of them."""
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                links = dict(_links(found, path, method, status, answer))
                if links:
                    answer["links"] = links


def _links(
    found: Mapping[str, Any], path: str, method: str, status: str, answer: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    shape = _properties(found, answer.get("content", {}).get("application/json", {}).get("schema"))
    if status == "202" and "problem" in shape:
        yield from _to(found["paths"][_REQUEST], {"request_id": "$response.body#/id"})
        return
    listed = method == "get" and "items" in shape
    if not listed and (method != "post" or status not in {"200", "201", "202"}):
        return
    if listed:
        shape = _properties(found, shape["items"].get("items"))
    above = _PARAMETER.findall(path)
    for template, operations in found["paths"].items():
        *same, last = _PARAMETER.findall(template) or [""]
        field = next((name for name in ("id", last) if name in shape), None)
        below = template.startswith(f"{path}/{{") or _ABOUT.get(template) == path
        if field is None or not below or same != above:
            continue
        place = f"$response.body#/{'items/0/' if listed else ''}{field}"
        yield from _to(
            operations, {**{name: f"$request.path.{name}" for name in above}, last: place}
        )


def _to(operations: Mapping[str, Any], parameters: dict[str, str]) -> Iterator[tuple[str, Any]]:
    for operation in operations.values():
        name = operation["operationId"]
        yield name, {"operationId": name, "parameters": parameters}


def _properties(found: Mapping[str, Any], schema: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the properties of a schema, which may be one of the components."""
    if schema is None:
        return {}
    reference = schema.get("$ref")
    if reference is not None:
        schema = found["components"]["schemas"][reference.rpartition("/")[2]]
    properties: Mapping[str, Any] = schema.get("properties", {})
    return properties
