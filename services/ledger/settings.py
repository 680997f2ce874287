"""What the ledger is told from outside."""

from typing import Annotated

from pydantic import Field, SecretStr

from runtime.settings import RuntimeSettings


class LedgerSettings(RuntimeSettings):
    """The ledger's settings: where it seals to, and by which key."""

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
    attest_delay_seconds: Annotated[
        float, Field(ge=0, le=86_400, description="how long after its end a month is attested")
    ] = 300.0
