"""An installation's secrets as files, a folder for each part that reads them.

Containers mount a part's own folder and nothing else: `docker-compose.yml` as a volume, Kubernetes
as a Secret made with `--from-file`. A file is called as the setting that reads it.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from devkit.nats import configuration, users
from devkit.postgres import ADMIN as POSTGRES_ADMIN
from devkit.secret_store import Secrets
from runtime.migrate import service_role
from services.wiring import TOPOLOGY

NATS_PORT: Final = 4222
NATS_MONITOR_PORT: Final = 8222
NATS_STORE: Final = "/data"


@dataclass(frozen=True)
class Places:
    """Where an installation's servers are. `postgres` is host:port."""

    postgres: str = "postgres:5432"
    postgres_admin: str = POSTGRES_ADMIN


def secret_files(secrets: Secrets, places: Places) -> Mapping[str, str]:
    """Return path below the folder → content.

    `postgres/` and `nats/` are for the servers, `nats-users/` for a NATS whose configuration takes
    passwords from its environment, `migrate/` for `tollgate db migrate` and `tollgate bus migrate`,
    and one folder for each service.
    """
    files = {
        "postgres/username": places.postgres_admin,
        "postgres/password": secrets.postgres_admin,
        "nats/nats.conf": _nats_configuration(secrets),
        "nats-users/ADMIN_PASSWORD": secrets.nats_admin,
        "migrate/admin_dsn": _dsn(
            places, places.postgres_admin, secrets.postgres_admin, "postgres"
        ),
        "migrate/nats_admin_password": secrets.nats_admin,
    }
    for service in TOPOLOGY.services:
        role = service_role(service)
        password = secrets.databases[service]
        files |= {
            f"nats-users/{service.upper()}_PASSWORD": secrets.bus[service],
            f"migrate/{service}_password": password,
            f"{service}/postgres_dsn": _dsn(places, role, password, role),
            f"{service}/nats_password": secrets.bus[service],
            f"{service}/master_key": secrets.master_keys[service],
        }
    for service, key in secrets.sealing_private.items():
        files[f"{service}/sealing_key"] = key
    for service, key in secrets.sealing_public.items():
        files[f"gateway/{service}_sealing_public_key"] = key
    for service, key in secrets.signing_keys.items():
        files[f"{service}/signing_key"] = key
    return files


def write_secret_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files, each readable by its owner's group and by nobody else.

    A folder that exists stays as it is: it may be a volume of its own.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        written = path.with_name(f"{path.name}.new")
        written.unlink(missing_ok=True)
        with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o440), "w") as file:
            file.write(content)
        written.replace(path)


def _dsn(places: Places, user: str, password: str, database: str) -> str:
    return f"postgresql://{user}:{quote(password, safe='')}@{places.postgres}/{database}"


def _nats_configuration(secrets: Secrets) -> str:
    value = configuration(
        listen=f"0.0.0.0:{NATS_PORT}",
        store=NATS_STORE,
        users=users(secrets.nats_admin, secrets.bus),
    )
    monitored = {**value, "http": f"0.0.0.0:{NATS_MONITOR_PORT}"}
    return json.dumps(monitored, indent=2) + "\n"
