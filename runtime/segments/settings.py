"""What a service is told that seals: where to, how often, and by which key."""

from typing import Annotated

from pydantic import Field, SecretStr

from runtime.settings import RuntimeSettings


class SegmentSettings(RuntimeSettings):
    """Settings of services whose facts are sealed; each has a place of its own."""

    signing_key: Annotated[
        SecretStr | None,
        Field(description="private Ed25519 key as JWK: signs what is sealed"),
    ] = None
    signing_public_keys: Annotated[
        str,
        Field(description="public JWK set of earlier signing keys, which stay valid"),
    ] = '{"keys": []}'
    segments_url: Annotated[
        str | None,
        Field(description="where segments are kept: file:///, gs:// or s3://; none: no sealing"),
    ] = None
    seal_interval_seconds: Annotated[
        float, Field(ge=0, le=31_536_000, description="how often facts are sealed; 0: by hand")
    ] = 3600.0
