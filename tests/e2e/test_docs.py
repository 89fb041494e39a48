"""Every command of the documentation does what the page says."""

import asyncio
import re
from pathlib import Path

import pytest

from tests.lab.bookinfo import Bookinfo
from tests.lab.consul import consul_binary
from tests.lab.etcd import release
from tests.lab.kube import kubernetes_program, running_cluster
from tests.lab.pages import Command, File, Reader, moved_ports, steps
from tests.lab.redis import redis_binary

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
    "25010",
    "25014",
)


@pytest.mark.e2e
@pytest.mark.parametrize(
    "name",
    [
        "access.md",
        "authorization.md",
        "destinations.md",
        "dns.md",
        "egress.md",
        "envoy-filter.md",
        "external-services.md",
        "federation.md",
        "first-mesh.md",
        "history.md",
        "jwt.md",
        "machines.md",
        "mesh-config.md",
        "ingress-tls.md",
        "inspection.md",
        "mtls.md",
        "operations.md",
        "peers.md",
        "rate-limits.md",
        "registries.md",
        "resilience.md",
        "revocation.md",
        "root-rotation.md",
        "routing.md",
        "scoping.md",
        "telemetry.md",
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
    # Beside other tests a daemon may take longer than the 100 ms that a proxy waits for it, and a provider than a second.
    page = page.replace("    failureMode: CLOSED\n", "    failureMode: CLOSED\n    timeout: 20s\n")
    page = page.replace("        timeout: 1s\n", "        timeout: 20s\n")
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
def test_the_page_of_consul_does_what_it_says(tmp_path: Path) -> None:
    """With a Consul, and a daemon whose ports the page names in part."""
    consul_binary()
    numbers = ("8300", "8301", "8500", "9081", "9082", "9083", "15000", "15010", "15012", "15014", "15017")
    page = (DOCS / "consul.md").read_text()
    for flag, port in (("--xds-address", "15010"), ("--http-address", "15014")):
        page = page.replace("xdsd serve ", f"xdsd serve {flag} 127.0.0.1:{port} ")
    with Reader(tmp_path, moved_ports(*numbers)) as reader:
        assert reader.do(page) >= 30


@pytest.mark.e2e
async def test_the_page_of_kubernetes_does_what_it_says(tmp_path: Path) -> None:
    """With a cluster, whose slices are of the version before."""
    page = (DOCS / "kubernetes.md").read_text().replace("discovery.k8s.io/v1\n", "discovery.k8s.io/v1beta1\n")
    for flag, port in (("--xds-address", "15010"), ("--http-address", "15014")):
        page = page.replace("xdsd serve ", f"xdsd serve {flag} 127.0.0.1:{port} ")
    numbers = ("9081", "9082", "9083", "15000", "15010", "15012", "15014", "15017", "15018")
    folder, ports = tmp_path / "reader", moved_ports(*numbers)
    folder.mkdir()
    (folder / "deploy").symlink_to(ROOT / "deploy")
    async with running_cluster(tmp_path) as kube:
        with Reader(folder, ports, {"KUBECONFIG": str(kube.kubeconfig)}) as reader:
            (folder / ".bin" / "kubectl").symlink_to(kubernetes_program("kubectl"))
            assert await asyncio.to_thread(reader.do, page) >= 40


@pytest.mark.e2e
def test_the_page_of_shapes_does_what_it_says(tmp_path: Path) -> None:
    """Each shape of a mesh by its objects and bootstraps alone, the proxies of all of them side by side."""
    numbers = [*map(str, range(15000, 15008)), "15010", "15012", "15014", "15016", "15022", "15024", "15026"]
    with Reader(tmp_path, moved_ports(*numbers, "8080", "8081", "9081", "9082", "15080", "15443")) as reader:
        assert reader.do((DOCS / "shapes.md").read_text()) >= 40


@pytest.mark.e2e
def test_the_page_of_identity_does_what_it_says(tmp_path: Path) -> None:
    """With a daemon whose TLS ports the page names."""
    ports = moved_ports("15000", "15010", "15012", "15013", "15014")
    with Reader(tmp_path, ports) as reader:
        assert reader.do((DOCS / "identity.md").read_text()) >= 20


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["legacy-edge.md", "reach-audit.md", "strict-mtls.md"])
def test_a_use_of_identities_goes_as_its_page_says(name: str, tmp_path: Path) -> None:
    """From nothing, with the programs that the page names."""
    redis_binary()
    ports = moved_ports("5432", "6379", *PORTS, "15018")
    page = (DOCS / name).read_text()
    flags = "--xds-address 127.0.0.1:15010 --http-address 127.0.0.1:15014"
    with Reader(tmp_path, ports) as reader:
        assert reader.do(page.replace("xdsd serve ", f"xdsd serve {flags} ")) >= 15


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
    """A page that is added is run too, or this fails; systemd.md and machine-join.md are run by tests of these names."""
    pages = {
        page.name
        for page in DOCS.glob("*.md")
        if any(isinstance(s, Command) for s in steps(page.read_text()))
    }
    assert pages == {
        "access.md",
        "authorization.md",
        "consul.md",
        "destinations.md",
        "dns.md",
        "egress.md",
        "envoy-filter.md",
        "etcd.md",
        "external-services.md",
        "federation.md",
        "first-mesh.md",
        "history.md",
        "identity.md",
        "ingress-tls.md",
        "inspection.md",
        "jwt.md",
        "kubernetes.md",
        "legacy-edge.md",
        "machine-join.md",
        "machines.md",
        "mesh-config.md",
        "mtls.md",
        "operations.md",
        "peers.md",
        "rate-limits.md",
        "reach-audit.md",
        "registries.md",
        "resilience.md",
        "revocation.md",
        "root-rotation.md",
        "routing.md",
        "scoping.md",
        "shapes.md",
        "strict-mtls.md",
        "demo.md",
        "systemd.md",
        "telemetry.md",
        "xdsctl.md",
    }


def test_the_index_lists_every_page() -> None:
    """Whoever begins at docs/README.md finds all of them."""
    listed = set(re.findall(r"\]\(([^)/]+\.md)\)", (DOCS / "README.md").read_text()))
    assert listed == {page.name for page in DOCS.glob("*.md")} - {"README.md"}


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
