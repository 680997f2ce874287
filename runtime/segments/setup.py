"""What sealing and checking take from the settings."""

from runtime.clock import Clock, system_clock
from runtime.segments.origin import Origin
from runtime.segments.places import Place, open_place
from runtime.segments.sealer import SEGMENT_FACTS_MAX, SealError, Sealing
from runtime.segments.settings import SegmentSettings
from runtime.signing import PublicKeys, SigningKey


def sealing_of(
    origin: Origin,
    settings: SegmentSettings,
    *,
    clock: Clock = system_clock,
    facts_max: int = SEGMENT_FACTS_MAX,
) -> Sealing:
    """Return what it takes to seal; `SealError` says which setting is missing."""
    key = signing_key(settings)
    if key is None:
        raise SealError("no key to sign with: set TOLLGATE_SIGNING_KEY")
    return Sealing(
        origin=origin,
        dsn=settings.postgres_dsn.get_secret_value(),
        place=segments_place(settings),
        key=key,
        keys=PublicKeys.read(settings.signing_public_keys),
        clock=clock,
        facts_max=facts_max,
    )


def segments_place(settings: SegmentSettings) -> Place:
    """Return where segments are kept; else `SealError`."""
    if settings.segments_url is None:
        raise SealError("no place for segments: set TOLLGATE_SEGMENTS_URL")
    return open_place(settings.segments_url)


def signing_key(settings: SegmentSettings) -> SigningKey | None:
    """Return the key that signs, if there is one."""
    if settings.signing_key is None:
        return None
    return SigningKey.read(settings.signing_key.get_secret_value())


def public_keys(settings: SegmentSettings) -> PublicKeys:
    """Return the public keys of all segments: of the present key and of earlier ones."""
    key = signing_key(settings)
    earlier = PublicKeys.read(settings.signing_public_keys)
    return earlier if key is None else earlier | key.public


def checked_place(settings: SegmentSettings) -> Place | None:
    """Return where segments are checked; nothing where nothing is ever sealed."""
    return None if settings.segments_url is None else segments_place(settings)
