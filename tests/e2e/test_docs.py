"""Every command of the documentation does what the page says."""

import re
from pathlib import Path

import pytest

from tests.lab.bookinfo import Bookinfo
from tests.lab.etcd import release
from tests.lab.pages import Command, File, Reader, moved_ports, steps

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PORTS = (
    "8080",
    "8432",
    "8443",
    "9081",
    "9082",
    "9083",
    "9443",
    "15000",
    "15053",
    "15010",
    "15012",
    "15013",
    "15014",
    "15017",
)


@pytest.mark.e2e
@pytest.mark.parametrize(
    "name",
    [
        "access.md",
        "authorization.md",
        "destinations.md",
        "dns.md",
        "envoy-filter.md",
        "external-services.md",
        "first-mesh.md",
        "history.md",
        "jwt.md",
        "machines.md",
        "mesh-config.md",
        "mtls.md",
        "operations.md",
        "rate-limits.md",
        "resilience.md",
        "routing.md",
        "scoping.md",
        "xdsctl.md",
    ],
)
def test_a_page_does_what_it_says(name: str, tmp_path: Path) -> None:
    """From an empty folder, every command succeeds and prints what the page shows."""
    ports = moved_ports(*PORTS)
    page = (DOCS / name).read_text()
    for flag, port in (("--xds-address", "15010"), ("--http-address", "15014")):
        page = page.replace("xdsd serve ", f"xdsd serve {flag} 127.0.0.1:{port} ")
    page = page.replace("xdsctl bootstrap ", "xdsctl bootstrap --admin-port 15000 ")
    page = re.sub(
        r"xdsctl bootstrap (?!.*--xds-address)", "xdsctl bootstrap --xds-address 127.0.0.1:15010 ", page
    )
    with Reader(tmp_path, ports) as reader:
        assert reader.do(page) >= 5


@pytest.mark.e2e
def test_the_page_of_etcd_does_what_it_says(tmp_path: Path) -> None:
    """With an etcd and several daemons, each on ports that the page names."""
    release()
    ports = moved_ports("2379", "2380", "15001", "15002", "15003", "15010", "15012", "15013", "15014")
    with Reader(tmp_path, ports) as reader:
        assert reader.do((DOCS / "etcd.md").read_text()) >= 15


@pytest.mark.e2e
def test_the_page_of_identity_does_what_it_says(tmp_path: Path) -> None:
    """With a daemon whose TLS ports the page names."""
    ports = moved_ports("15000", "15010", "15012", "15013", "15014")
    with Reader(tmp_path, ports) as reader:
        assert reader.do((DOCS / "identity.md").read_text()) >= 20


@pytest.mark.e2e
def test_the_demo_page_does_what_it_says(shared_mesh: Bookinfo, tmp_path: Path) -> None:
    """Every exercise can be typed in the demo's folder."""
    options = shared_mesh.layout.options
    ports = {"8080": str(options.port), "15014": str(options.http_port)}
    folder = tmp_path / "reader"
    state = Path(options.state_dir)
    folder.mkdir()
    for name in ("admin.sock", "try"):
        (folder / name).symlink_to(state / name)
    with Reader(folder, ports) as reader:
        assert reader.do((DOCS / "demo.md").read_text()) >= 10


def test_every_page_with_commands_is_run() -> None:
    """A page that is added is run too, or this fails; systemd.md is run by test_systemd.py."""
    pages = {
        page.name
        for page in DOCS.glob("*.md")
        if any(isinstance(s, Command) for s in steps(page.read_text()))
    }
    assert pages == {
        "access.md",
        "authorization.md",
        "destinations.md",
        "dns.md",
        "envoy-filter.md",
        "etcd.md",
        "external-services.md",
        "first-mesh.md",
        "history.md",
        "identity.md",
        "jwt.md",
        "machines.md",
        "mesh-config.md",
        "mtls.md",
        "operations.md",
        "rate-limits.md",
        "resilience.md",
        "routing.md",
        "scoping.md",
        "demo.md",
        "systemd.md",
        "xdsctl.md",
    }


def test_links_lead_somewhere() -> None:
    """Every relative link of the documentation names a file that exists."""
    for page in (*DOCS.glob("*.md"), *ROOT.glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_steps_are_read_in_order() -> None:
    """Files and commands come as the page has them, output below its command."""
    page = (
        "```yaml file=a.yaml\nkind: A\n```\ntext\n```console\n$ one &\n$ two\nout\n```\n```sh\nnot run\n```\n"
    )
    assert list(steps(page)) == [File("a.yaml", "kind: A\n"), Command("one &", ()), Command("two", ("out",))]
