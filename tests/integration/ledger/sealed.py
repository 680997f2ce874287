"""A ledger that can be sealed into a folder."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from joserfc.jwk import OKPKey

from runtime.clock import Clock
from runtime.segments.manifest import (
    Manifest,
    Signed,
    number_of_manifest,
    open_manifest,
)
from runtime.segments.places import FolderPlace
from runtime.segments.sealer import Sealing, seal
from runtime.signing import PublicKeys, SigningKey
from services.ledger.sealing.origin import ORIGIN
from tests.support.environment import Database


def new_key() -> str:
    """Return a new signing key, as the settings hold it."""
    return json.dumps(OKPKey.generate_key("Ed25519").as_dict(private=True))


@dataclass
class Sealer:
    """Seals one ledger into one folder."""

    sealing: Sealing
    folder: Path

    @classmethod
    def of(
        cls, database: Database, clock: Clock, folder: Path, *, facts_max: int = 100_000
    ) -> "Sealer":
        """Return a sealer with a key of its own."""
        sealing = Sealing(
            origin=ORIGIN,
            dsn=database.dsn,
            place=FolderPlace(folder),
            key=SigningKey.read(new_key()),
            keys=PublicKeys(),
            clock=clock,
            facts_max=facts_max,
        )
        return cls(sealing, folder)

    @property
    def keys(self) -> PublicKeys:
        """Return the keys that its segments are signed by."""
        return self.sealing.keys | self.sealing.key.public

    async def seal(self) -> list[Manifest]:
        """Seal what is not sealed yet."""
        return await seal(self.sealing)

    def rotate(self) -> None:
        """Sign by a new key from now on; what the old one signed stays valid."""
        self.sealing = replace(self.sealing, keys=self.keys, key=SigningKey.read(new_key()))

    def manifests(self) -> list[Signed]:
        """Return the manifests in the folder, in order."""
        paths = sorted(p for p in self.folder.iterdir() if number_of_manifest(p.name))
        return [open_manifest(path.read_bytes(), self.keys) for path in paths]

    def names(self) -> list[str]:
        """Return all files in the folder, hidden ones too."""
        return sorted(path.name for path in self.folder.iterdir())
