"""A runner, and its Terraform, played by hand over real HTTP."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import encode_basic_auth
from aiohttp.test_utils import TestClient, TestServer

from runtime.archive import open_archive_store
from runtime.process import assemble
from runtime.sealing import DataKey
from services.deployer import commands
from services.deployer.builds import LeaseTokens
from services.deployer.builds_api import BuildsApi
from services.deployer.handlers import ACTOR, ClaimBuild, EndBuild, ReassignBuild
from services.deployer.main import build
from services.wiring import WIRING
from tests.integration.deployer.modules import DOMAIN, EXAMPLES, TOKEN
from tests.integration.deployer.processes import HandledDeployer

MADE = {"mode": "managed", "type": "terraform_data", "name": "made", "instances": [{}]}
ONE = json.dumps({"version": 4, "serial": 1, "resources": [MADE]}).encode()
TWO = json.dumps({"version": 4, "serial": 2, "resources": [MADE, MADE]}).encode()
VALUES = {"domain": "www.example.com", "deploy_token": "swordfish"}
FIRST = LeaseTokens(runner="first-runner", terraform="first-terraform")
SECOND = LeaseTokens(runner="second-runner", terraform="second-terraform")


@dataclass
class Build:
    """A build that this test is the runner of."""

    deployer: HandledDeployer
    client: TestClient[Any, Any]
    deployment_id: str
    archive_digest: str
    tokens: LeaseTokens = field(default=FIRST)

    @property
    def build_id(self) -> str:
        return f"build-{self.deployment_id}-1"

    async def says(self, method: str, path: str, **more: Any) -> tuple[int, bytes]:
        """Return the answer to what the runner says."""
        headers = {"Authorization": f"Bearer {more.pop('token', self.tokens.runner)}"}
        path = "job?runner=by-hand" if path == "job" else path
        return await self._answer(method, path, headers=headers, **more)

    async def terraform(self, method: str, body: Any = None, **more: Any) -> tuple[int, bytes]:
        """Return the answer to what Terraform says of its state, as its HTTP backend does."""
        password = more.pop("token", self.tokens.terraform)
        headers = {"Authorization": encode_basic_auth("build", password)}
        data = json.dumps(body) if isinstance(body, dict) else body
        return await self._answer(
            method, more.pop("path", "state"), headers=headers, data=data, **more
        )

    async def _answer(self, method: str, path: str, **more: Any) -> tuple[int, bytes]:
        url = f"/builds/{self.build_id}/{path}"
        async with self.client.request(method, url, **more) as response:
            return response.status, await response.read()

    async def end(self, ending: commands.Ending | None = None, attempt: int = 1) -> None:
        """End the build, as the reaper does."""
        lost = commands.Fail(code="RUNNER_LOST", message="lost", platform_fault=True)
        end = commands.End(
            build_id=self.build_id,
            attempt=attempt,
            ending=ending or lost,
            owns_resources=False,
            state_changed=False,
        )
        await self.deployer.running.processor.execute(
            EndBuild(actor=ACTOR, deployment_id=self.deployment_id, end=end)
        )

    async def is_given_to_another(self) -> None:
        """Have the build begun anew by another runner."""
        await self.deployer.running.processor.execute(
            ReassignBuild(
                actor=ACTOR,
                deployment_id=self.deployment_id,
                build_id=self.build_id,
                attempt=1,
                tokens=SECOND,
            )
        )

    async def states(self) -> list[tuple[int, bool]]:
        """Return what is kept of states: resources of each, and whether it is evidence only."""
        rows = await self.deployer.pool.fetch(
            "select resources, evidence from states where deployment_id = $1 order by number",
            self.deployment_id,
        )
        return [(row["resources"], row["evidence"]) for row in rows]


@asynccontextmanager
async def claimed_build(deployer: HandledDeployer) -> AsyncIterator[Build]:
    """Give a build that was claimed for the test, by a deployer that starts no runners itself."""
    settings = deployer.settings
    archives = open_archive_store(settings.archive_url)
    secret = settings.master_key
    assert secret is not None
    async with assemble(build(settings), settings, WIRING) as deployer.running:
        api = BuildsApi(
            deployer.running,
            settings,
            archives=archives,
            master_key=DataKey.from_text(secret.get_secret_value()),
            wake_logs=lambda: None,
        )
        deployment_id = await deployer.deploy(
            EXAMPLES / "static-website", VALUES, variables=(DOMAIN, TOKEN)
        )
        await deployer.running.processor.execute(
            ClaimBuild(
                actor=ACTOR,
                deployment_id=deployment_id,
                build_id=f"build-{deployment_id}-1",
                executor="local",
                tokens=FIRST,
            )
        )
        digest = await deployer.pool.fetchval("select archive_digest from builds")
        async with TestClient(TestServer(api.app())) as client:
            yield Build(deployer, client, deployment_id, digest)
