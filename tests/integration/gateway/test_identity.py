from tests.integration.gateway.api import Api


async def test_somebody_who_signed_in_reads_themselves(api: Api) -> None:
    ada = await api.person("admin", name="Ada")

    me = await ada.gets("/api/me")

    assert (me["email"], me["name"], me["roles"]) == (ada.email, "Ada", ["user", "admin"])
