import pytest

from services.catalog.repository_address import (
    AddressRefusal,
    LocalAddress,
    RemoteAddress,
    is_public,
    read_address,
    read_branch,
)


def test_an_https_address_is_read() -> None:
    url = "https://git.example.com:8443/team/modules.git"
    assert read_address(url, allow_local=False) == RemoteAddress(url, "git.example.com", 8443)
    assert read_address("https://[2606:4700::1]/x", allow_local=False) == RemoteAddress(
        "https://[2606:4700::1]/x", "2606:4700::1", 443
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        "--upload-pack=touch /tmp/x",
        "-u",
        "ext::sh -c id",
        "ext::https://x/y",
        "ssh://git@github.com/a/b",
        "git@github.com:a/b",
        "git://github.com/a/b",
        "ftp://example.com/a",
        "http://example.com/a",
        "file:///etc",
        "/etc",
        "../x",
        "https://",
        "https://example.com",
        "https://example.com/",
        "https://example.com/a?b=c",
        "https://example.com/a#b",
        "https://user@example.com/a",
        "https://:secret@example.com/a",
        "https://-o/a",
        "https://exa mple.com/a",
        "https://example.com/a\n--upload-pack=x",
        "https://example..com/a",
        "https://example.com:99999/a",
        "https://[::1/a",
        "https:example.com/a",
        "https://example.com/" + "a" * 500,
        "https://exämple.com/a",
    ],
)
def test_anything_else_is_refused(url: str) -> None:
    with pytest.raises(AddressRefusal) as caught:
        read_address(url, allow_local=False)
    assert "secret" not in caught.value.detail


def test_a_development_switch_allows_this_machine() -> None:
    assert read_address("/srv/modules", allow_local=True) == LocalAddress("/srv/modules")
    assert read_address("file:///srv/a%20b", allow_local=True) == LocalAddress("/srv/a b")
    assert read_address("http://127.0.0.1:1/a", allow_local=True) == RemoteAddress(
        "http://127.0.0.1:1/a", "127.0.0.1", 1
    )


@pytest.mark.parametrize("url", ["file://host/x", "ext::sh -c id", "file:///a%00b"])
def test_the_switch_allows_nothing_more(url: str) -> None:
    with pytest.raises(AddressRefusal):
        read_address(url, allow_local=True)


@pytest.mark.parametrize("name", ["main", "release/1.2", "feature/a-b_c", "v1.0+x", "größe"])
def test_a_branch_is_read(name: str) -> None:
    assert read_branch(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("-x", "--upload-pack=x", "a..b", "a b", "a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b"),
        *("/a", "a/", "a.", ".a", "a/.b", "a.lock", "a.lock/b", "a@{1}", "a//b", "a\x00", "a\n"),
        "x" * 201,
    ],
)
def test_what_git_takes_for_something_else_is_no_branch(name: str) -> None:
    with pytest.raises(AddressRefusal):
        read_branch(name)


def test_no_branch_means_the_repositorys_own() -> None:
    assert read_branch(None) is None
    assert read_branch("") is None


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::6810:84e5", "64:ff9b::5db8:d822"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - nothing is bound
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)
def test_all_others_are_not_however_they_are_wrapped(address: str) -> None:
    assert not is_public(address)
