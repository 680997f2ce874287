"""Styles and scripts: read once, compressed once, and kept by browsers until they change."""

import gzip
import mimetypes
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runtime.process import StartError

HERE: Final = Path(__file__).parent
INSTALLED: Final = {
    "htmx.js": HERE / "node_modules/htmx.org/dist/htmx.min.js",
    "echarts.js": HERE / "node_modules/echarts/dist/echarts.common.min.js",
}
"""What npm installs, as `package-lock.json` pins it."""

_FOR_EVER: Final = "public, max-age=31536000, immutable"
_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Asset:
    """A file that browsers load."""

    content: bytes
    compressed: bytes
    media_type: str
    digest: str


@cache
def assets() -> dict[str, Asset]:
    """Return all assets by name; `StartError` where what npm installs is not there."""
    missing = [str(path.relative_to(HERE)) for path in INSTALLED.values() if not path.is_file()]
    if missing:
        raise StartError(f"run `make setup`: services/gateway/web has no {', '.join(missing)}")
    own = {path.name: path for path in (HERE / "static").iterdir() if path.is_file()}
    return {name: _read(path) for name, path in {**own, **INSTALLED}.items()}


def address_of(name: str) -> str:
    """Return where a browser finds an asset; another address for other content."""
    return f"/static/{assets()[name].digest}/{name}"


async def _static(request: Request) -> Response:
    asset = assets().get(request.path_params["name"])
    if asset is None or asset.digest != request.path_params["digest"]:
        return Response("There is no such file.\n", status_code=404, media_type="text/plain")
    headers = {
        "Cache-Control": _FOR_EVER,
        "Cross-Origin-Resource-Policy": "same-origin",
        "Content-Type": asset.media_type,
    }
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(asset.compressed, headers=headers)
    return Response(asset.content, headers=headers)


ROUTE: Final = Route("/static/{digest}/{name}", _static, methods=["GET"])


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    if kind is None:
        raise StartError(f"{path.name} is of no kind that a browser knows")
    text = kind.startswith("text/") or kind == "image/svg+xml"
    return Asset(
        content=content,
        compressed=gzip.compress(content, mtime=0),
        media_type=f"{kind}; charset=utf-8" if text else kind,
        digest=sha256(content).hexdigest()[:16],
    )
