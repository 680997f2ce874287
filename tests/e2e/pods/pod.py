"""A pod: its volumes as Kubernetes makes them, its containers confined as the manifest says."""

import os
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.deploy.manifests import Manifest, of_kind, pods
from tests.e2e.pods.machine import PYTHON, STATE, image_environment

SECRETS: Final = STATE / "secrets"
VOLUMES: Final = STATE / "volumes"

# Everything is read-only but what the devices, the processes and the volumes are.
_ENTER: Final = """
set -e
awk '{print $5}' /proc/self/mountinfo | grep -vE '^/(proc|sys|dev)(/|$)' | while read -r at; do
    if mountpoint -q "$at"; then mount -o remount,bind,ro "$at"; fi
done
"""


@dataclass
class Pod:
    """One pod of a Deployment or Job. `changed` are variables that are not as the manifest says."""

    overlay: str
    name: str
    logs: Path
    port: int | None = None
    changed: dict[str, str] = field(default_factory=dict)

    @property
    def specification(self) -> Manifest:
        """The pod, as it is rendered."""
        return pods(self.overlay)[self.name]

    def start(self, container: Manifest, *words: str, **more: Any) -> "subprocess.Popen[bytes]":
        """Start a container, or run something else in its place; its output goes to the logs."""
        with (self.logs / f"{self.name}-{container['name']}.log").open("ab") as log:
            streams: dict[str, Any] = {"stdout": log, "stderr": log, **more}
            process: subprocess.Popen[bytes] = subprocess.Popen(
                self._entered(container, words or ("-m", "tollgate", *container["args"])),
                env=self._environment(container),
                start_new_session=True,
                **streams,
            )
            return process

    def _entered(self, container: Manifest, words: tuple[str, ...]) -> tuple[str, ...]:
        script = [_ENTER]
        volumes = {each["name"]: each for each in self.specification["volumes"]}
        for mount in container["volumeMounts"]:
            source, at = self._volume(volumes[mount["name"]]), mount["mountPath"]
            access = "ro" if mount.get("readOnly") else "rw"
            script.append(f"mount --bind {source} {at}; mount -o remount,bind,{access} {at}")
        told = self.specification["securityContext"]
        user = f"--reuid={told['runAsUser']} --regid={told['runAsGroup']}"
        groups = f"--groups={told['fsGroup']}"
        bare = "--no-new-privs --bounding-set=-all --inh-caps=-all"
        script.append(f"cd /; exec setpriv {user} {groups} {bare} -- {PYTHON} {shlex.join(words)}")
        return ("unshare", "--mount", "--propagation=private", "sh", "-c", "\n".join(script))

    def _environment(self, container: Manifest) -> dict[str, str]:
        maps = {name: each["data"] for name, each in of_kind(self.overlay, "ConfigMap").items()}
        told = image_environment()
        for source in container.get("envFrom", ()):
            told |= maps[source["configMapRef"]["name"]]
        for entry in container.get("env", ()):
            if "value" in entry:
                told[entry["name"]] = entry["value"]
            elif "configMapKeyRef" in entry["valueFrom"]:
                reference = entry["valueFrom"]["configMapKeyRef"]
                told[entry["name"]] = maps[reference["name"]][reference["key"]]
            else:
                assert entry["valueFrom"]["secretKeyRef"]["optional"] is True, entry
        if self.port is not None:
            # All pods share one address here.
            told["TOLLGATE_HTTP_PORT"] = str(self.port)
        return told | self.changed

    def _volume(self, volume: Manifest) -> Path:
        """Make a volume once: root's, open to all where it is the pod's own, else to the group."""
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        folder = VOLUMES / (claim or f"{self.name}-{volume['name']}")
        if not folder.exists():
            group = self.specification["securityContext"]["fsGroup"]
            folder.mkdir(parents=True)
            if "secret" in volume:
                part = volume["secret"]["secretName"].removeprefix("tollgate-")
                for file in (SECRETS / part).iterdir():
                    kept = folder / file.name
                    kept.write_text(file.read_text())
                    os.chown(kept, 0, group)
                    kept.chmod(volume["secret"]["defaultMode"])
            os.chown(folder, 0, group)
            folder.chmod(0o2775 if claim else 0o2777)
        return folder
