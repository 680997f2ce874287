"""Where webhooks may go: what can be seen in an address, and which addresses are public."""

import pytest

from contracts.webhook_rules import WebhookUrlError, check_url, is_public


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.partner.dev/tollgate?team=1",
        "https://hooks.partner.dev:443/",
        "HTTPS://Hooks.Partner.DEV",
        "https://93.184.216.34/",
        "https://[2606:2800:220:1:248:1893:25c8:1946]/",
        "https://xn--bcher-kva.example/",
    ],
)
def test_a_public_address_by_https_is_taken(url: str) -> None:
    check_url(url, allow_loopback=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.partner.dev",
        "ftp://hooks.partner.dev/",
        "http://hooks.partner.dev/",
        "https://",
        "https:///path",
        "https://hooks.partner.dev:8443/",
        "https://hooks.partner.dev:0/",
        "https://hooks.partner.dev:99999/",
        "https://user@hooks.partner.dev/",
        "https://user:word@hooks.partner.dev/",
        "https://hooks.partner.dev/#there",
        "https://hooks.partner.dev/a b",
        "https://hooks.partner.dev/\n",
        "https://hooks.partner.dev\\@evil.dev/",
        "https://bücher.example/",
        "https://10.0.0.1/",
        "https://127.0.0.1/",
        "https://localhost:443@10.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        "https://[64:ff9b::a00:1]/",
        "https://-hooks.partner.dev/",
        f"https://hooks.partner.dev/{'a' * 500}",
    ],
)
def test_what_is_no_public_address_by_https_is_refused(url: str) -> None:
    with pytest.raises(WebhookUrlError) as refused:
        check_url(url, allow_loopback=False)
    assert "word" not in str(refused.value).replace("password", "")


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("http://127.0.0.1:8080/hook", True),
        ("http://localhost:8080/hook", True),
        ("http://[::1]:8080/hook", True),
        ("https://127.0.0.1:8443/", True),
        ("http://10.0.0.1/", False),
        ("http://hooks.partner.dev/", False),
        ("http://user@127.0.0.1/", False),
    ],
)
def test_the_development_switch_allows_this_machine_and_no_other(url: str, taken: bool) -> None:
    try:
        check_url(url, allow_loopback=True)
    except WebhookUrlError:
        assert not taken
    else:
        assert taken


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("8.8.8.8", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("::ffff:8.8.8.8", True),
        ("0.0.0.0", False),  # noqa: S104 - it is refused, not bound
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("127.0.0.1", False),
        ("168.63.129.16", False),
        ("169.254.169.254", False),
        ("172.16.0.1", False),
        ("192.0.0.8", False),
        ("192.88.99.1", False),
        ("192.168.1.1", False),
        ("198.18.0.1", False),
        ("203.0.113.7", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::10.0.0.1", False),
        ("::8.8.8.8", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("64:ff9b::808:808", False),
        ("64:ff9b:1::1", False),
        ("100::1", False),
        ("2001::1", False),
        ("2001:db8::1", False),
        ("2002:a00:1::", False),
        ("fc00::1", False),
        ("fd00:ec2::254", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("no address", False),
    ],
)
def test_only_addresses_of_the_public_internet_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public
