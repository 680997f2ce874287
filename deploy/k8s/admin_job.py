# noqa: INP001 - a script beside what it reads
"""Prints a Job that runs one command as the databases' and the bus's administrator.

It is the overlay's Job `migrate` with other words: `bus rebuild`, `projection rebuild NAME`,
`db import SERVICE` … See docs/kubernetes.md.

    kubectl kustomize deploy/k8s/overlays/production \
      | .venv/bin/python deploy/k8s/admin_job.py bus rebuild --check | kubectl create -f -
"""

import sys
from typing import Any, Final

import yaml

MEMORY_MAX: Final = "2Gi"
"""What a rebuild of twenty million messages takes."""


def admin_job(manifests: list[dict[str, Any]], words: list[str]) -> dict[str, Any]:
    """Return the Job that tells `tollgate` these words, once."""
    [job] = [m for m in manifests if (m["kind"], m["metadata"]["name"]) == ("Job", "migrate")]
    pod = job["spec"]["template"]["spec"]
    containers = [*pod.pop("initContainers", ()), *pod["containers"]]
    told = {each["name"]: each for container in containers for each in container["env"]}
    [last] = pod["containers"]
    last |= {"name": "admin", "args": words, "env": list(told.values())}
    last["resources"]["limits"]["memory"] = MEMORY_MAX
    pod["restartPolicy"] = "Never"
    namespace = job["metadata"].get("namespace")
    job["metadata"] = {"generateName": "admin-", **({"namespace": namespace} if namespace else {})}
    job["spec"]["backoffLimit"] = 0
    return job


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit("which command? for example: bus rebuild --check")
    found = [each for each in yaml.safe_load_all(sys.stdin) if each]
    yaml.safe_dump(admin_job(found, sys.argv[1:]), sys.stdout, sort_keys=False)
