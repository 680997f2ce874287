"""Postgres as CloudNativePG would make it, and NATS as its Helm chart would."""

import os
import subprocess
from pathlib import Path
from typing import Final

from devkit.nats import binary as nats_binary
from devkit.postgres import binary as postgres_binary
from tests.deploy.manifests import Manifest, of_kind
from tests.deploy.test_nats_chart import server_configuration, values
from tests.e2e.pods.machine import CODE, PYTHON, STATE, as_user, in_place
from tests.e2e.pods.pod import SECRETS

_POSTGRES_UID: Final = 26
_NATS_UID: Final = 1000
_PATH: Final = {"PATH": os.environ["PATH"], "TZ": "UTC"}


def make_secrets() -> None:
    """Make them as docs/kubernetes.md says."""
    words = (
        *(str(PYTHON), "-m", "tollgate", "secrets", "make", "--to", str(SECRETS)),
        *("--postgres", "tollgate-db-rw:5432", "--postgres-admin", "postgres"),
    )
    where = {"PYTHONPATH": str(CODE), "HOME": str(STATE)}
    subprocess.run(words, cwd=CODE, env=_PATH | where, check=True, capture_output=True)


def start_postgres(overlay: str, log: Path) -> "subprocess.Popen[bytes]":
    """Initialise a cluster and start it, with the parameters of the overlay's."""
    [cluster] = of_kind(overlay, "Cluster").values()
    home, password = STATE / "postgres", STATE / "password"
    home.mkdir()
    password.write_text((SECRETS / "postgres" / "password").read_text())
    for path in (home, password):
        os.chown(path, _POSTGRES_UID, _POSTGRES_UID)
    made: Manifest = cluster["spec"]["bootstrap"]["initdb"]
    data = str(home / "data")
    subprocess.run(
        (
            *(*as_user(_POSTGRES_UID), in_place(postgres_binary("initdb")), "-D", data),
            *("-U", (SECRETS / "postgres" / "username").read_text(), "--pwfile", str(password)),
            *("--auth=scram-sha-256", "--no-sync", f"--encoding={made['encoding']}"),
            *(f"--locale-provider={made['localeProvider']}", f"--locale={made['locale']}"),
            f"--builtin-locale={made['builtinLocale']}",
        ),
        env=_PATH,
        check=True,
        capture_output=True,
    )
    told = cluster["spec"]["postgresql"]["parameters"] | {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "off",
    }
    settings = [word for name, value in told.items() for word in ("-c", f"{name}={value}")]
    server = (*as_user(_POSTGRES_UID), in_place(postgres_binary("postgres")), "-D", data)
    return _started((*server, *settings), _PATH, log)


def start_nats(installation: str, log: Path) -> "subprocess.Popen[bytes]":
    """Start a server with the chart's configuration, passwords from its environment."""
    home = STATE / "nats"
    home.mkdir()
    os.chown(home, _NATS_UID, _NATS_UID)
    file = STATE / "nats.conf"
    text = server_configuration(values(installation)).replace('"/data"', f'"{home}"')
    file.write_text(text.replace("/var/run/nats/", f"{home}/"))
    passwords = {each.name: each.read_text() for each in (SECRETS / "nats-users").iterdir()}
    words = (*as_user(_NATS_UID), in_place(nats_binary()), "--config", str(file))
    return _started(words, {**_PATH, "POD_NAME": "nats-0", **passwords}, log)


def _started(
    words: tuple[str, ...], environment: dict[str, str], log: Path
) -> "subprocess.Popen[bytes]":
    with log.open("wb") as file:
        return subprocess.Popen(
            words, env=environment, stdout=file, stderr=file, start_new_session=True
        )
