"""Runs the overlay `dev` and does the main job on it; writes what came of it as JSON.

Run as root of new mount, network and process namespaces, with a folder for logs and the report.
"""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

from contracts.registry import SERVICES
from tests.deploy.manifests import pods
from tests.e2e import repositories
from tests.e2e.person import Person
from tests.e2e.pods.machine import STATE, furnish
from tests.e2e.pods.pod import Pod
from tests.e2e.pods.servers import make_secrets, start_nats, start_postgres
from tests.support.story import deploy, module, sync, until_ended

OVERLAY: Final = "dev"
URL: Final = "http://127.0.0.1:8080"
PORTS: Final = {"gateway": 8080, "catalog": 8101, "deployer": 8102, "ledger": 8103, "revenue": 8104}
# The example modules are in a repository of this machine; a cluster's are on Git hosts.
CHANGED: Final = {
    name: {"TOLLGATE_ALLOW_LOCAL_REPOSITORIES": "true"} for name in ("catalog", "gateway")
}
INITIAL_SECONDS_MAX: Final = 60.0
READY_SECONDS_MAX: Final = 60.0
NODE: Final = ("/x", "/opt/tollgate/x", "/run/tollgate/x", "/var/lib/tollgate/x")
VOLUMES: Final = ("/tmp/x", "/var/lib/tollgate/work/x", "/var/lib/tollgate/segments/x")  # noqa: S108
TRIES: Final = """
import json, sys
def can(path):
    try:
        open(path, "w").close()
    except OSError:
        return False
    return True
print(json.dumps([path for path in sys.argv[1:] if can(path)]))
"""


def main(folder: Path) -> None:
    """Do it all, and end what was started in good order; what fails ends it at once."""
    furnish(folder)
    make_secrets()
    start_postgres(OVERLAY, folder / "postgres.log")
    start_nats(OVERLAY, folder / "nats.log")
    told: dict[str, Any] = {"migrated": _migrate(Pod(OVERLAY, "migrate", folder))}
    running = {
        name: Pod(OVERLAY, name, folder, PORTS[name], CHANGED.get(name, {})) for name in SERVICES
    }
    waiting = {name: _first(pod, "initContainers") for name, pod in running.items()}
    told["waited"] = {name: each.wait(INITIAL_SECONDS_MAX) for name, each in waiting.items()}
    services = {name: _first(pod, "containers") for name, pod in running.items()}
    told["ready"] = {name: _answers(name, "/readyz") for name in services}
    told["alive"] = {name: _answers(name, "/healthz") for name in services}
    told |= _main_job(running["gateway"])
    told["lag"] = _lag()
    told["writable"] = json.loads(_says(running["ledger"], "-c", TRIES, *NODE, *VOLUMES))
    told["ended"] = _end(services)
    (folder / "report.json").write_text(json.dumps(told, indent=2))


def _migrate(job: Pod) -> dict[str, int]:
    """Run the Job's steps one after the other, each again until its server is there."""
    found = {}
    until = time.monotonic() + INITIAL_SECONDS_MAX
    for step in [*job.specification["initContainers"], *job.specification["containers"]]:
        while job.start(step).wait() != 0:
            if time.monotonic() > until:
                raise TimeoutError(f"the step {step['name']} of the migration does not end well")
            time.sleep(0.5)
        found[step["name"]] = 0
    return found


def _first(pod: Pod, of: str) -> "subprocess.Popen[bytes]":
    [container] = pod.specification[of]
    return pod.start(container)


def _answers(service: str, path: str) -> int:
    """Return the status once it is good; `TimeoutError` with what was said last if it never is."""
    until, said = time.monotonic() + READY_SECONDS_MAX, ""
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{PORTS[service]}{path}", timeout=5
            ) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            said = f"{error.code} {error.read(500)!r}"
        except OSError as error:
            said = str(error)
        time.sleep(0.2)
    raise TimeoutError(f"{service} {path}: {said}")


def _says(pod: Pod, *words: str, given: bytes = b"") -> str:
    """Run Python in a pod's container, as `kubectl exec` would; return what it says."""
    [container] = pods(OVERLAY)[pod.name]["containers"]
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    said, _ = pod.start(container, *words, **streams).communicate(given, INITIAL_SECONDS_MAX)
    return said.decode()


def _main_job(gateway: Pod) -> dict[str, Any]:
    admin = Person(URL, "ada@example.org", "ada-1234567890abcdef")
    words = ("user", "create", "--email", admin.email, "--role", "admin", "--password-stdin")
    _says(gateway, "-m", "tollgate", *words, given=admin.password.encode())
    admin.signs_in()
    finance = Person(URL, "fiona@example.org", "fiona-1234567890abcdef").signs_up()
    admin.patches(f"/api/users/{finance.id}", {"roles": ["user", "finance"]})
    award = {"user_id": admin.id, "credits": 100, "reason": "to begin with"}
    finance.posts("/api/credits/awards", award)
    url = repositories.platform_repository(STATE / "repositories")
    user = gateway.specification["securityContext"]["runAsUser"]
    subprocess.run(("chown", "-R", f"{user}:{user}", str(STATE / "repositories")), check=True)
    admin.patches("/api/settings", {"platform_repository": {"url": url, "branch": "main"}})
    synced = sync(admin, "platform")
    ended = until_ended(admin, deploy(admin, module(admin, "starter-network"), {})["id"])
    return {"synced": synced["status"], "deployed": ended["status"]}


def _lag() -> list[list[str]]:
    """Return the consumers whose lag can be read, in the way that KEDA reads it."""
    url = "http://nats-headless.tollgate.svc:8222/jsz?acc=$G&consumers=true&config=true"
    with urllib.request.urlopen(url, timeout=5) as answer:
        [account] = json.load(answer)["account_details"]
    return [
        [account["name"], stream["name"], consumer["name"]]
        for stream in account["stream_detail"]
        for consumer in stream.get("consumer_detail", ())
        if {"num_pending", "num_ack_pending"} <= consumer.keys()
    ]


def _end(services: dict[str, "subprocess.Popen[bytes]"]) -> dict[str, int]:
    """Ask all to end, as the kubelet does; each has the time that its pod has."""
    for each in services.values():
        each.send_signal(signal.SIGTERM)
    found = {}
    for name, each in services.items():
        patience = pods(OVERLAY)[name]["terminationGracePeriodSeconds"]
        try:
            found[name] = each.wait(patience)
        except subprocess.TimeoutExpired:
            each.kill()
            found[name] = -signal.SIGKILL
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
