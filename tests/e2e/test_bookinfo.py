"""Each Bookinfo exercise, applied as an operator would and seen as a visitor would, on real Envoys."""

from math import sqrt

import pytest

from tests.e2e.shop import Visitor, call
from tests.lab.bookinfo import Bookinfo
from tests.lab.eventually import eventually

pytestmark = pytest.mark.e2e


async def test_all_v1_shows_no_stars(mesh: Bookinfo) -> None:
    """With every service by its first version, each visit is served by reviews v1."""
    async with Visitor(mesh) as visitor:
        await eventually(lambda: _shows(visitor, "reviews-v1"))
        assert set(await visitor.reviewers(30)) == {"reviews-v1"}


async def test_without_routes_every_version_serves(mesh: Bookinfo) -> None:
    """A service with no VirtualService spreads its requests over all its instances."""
    await mesh.xdsctl("delete", "virtualservice", "reviews")
    async with Visitor(mesh) as visitor:
        await eventually(lambda: _shows(visitor, "reviews-v2"))
        served = await visitor.reviewers(120)
    assert set(served) == {"reviews-v1", "reviews-v2", "reviews-v3"}
    assert min(served.values()) >= 5


@pytest.mark.parametrize(
    ("exercise", "other", "share"),
    [
        ("reviews-90-10.yaml", "reviews-v2", 0.1),
        ("reviews-80-20.yaml", "reviews-v2", 0.2),
        ("reviews-50-50.yaml", "reviews-v3", 0.5),
    ],
)
async def test_weights_hold_within_chance(mesh: Bookinfo, exercise: str, other: str, share: float) -> None:
    """Of 600 visits, the weighted version gets its share; seven standard deviations are chance, more is a fault."""
    visits = 600
    await mesh.apply(exercise)
    async with Visitor(mesh) as visitor:
        await eventually(lambda: _shows(visitor, other))
        served = await visitor.reviewers(visits)
    assert set(served) == {"reviews-v1", other}
    chance = 7 * sqrt(visits * share * (1 - share))
    assert abs(served[other] - visits * share) <= chance


async def test_jason_alone_sees_black_stars(mesh: Bookinfo) -> None:
    """A route that matches the user's header sends jason to v2 and everybody else to v1."""
    await mesh.apply("reviews-jason-v2.yaml")
    async with Visitor(mesh, "jason") as jason, Visitor(mesh, "jasmine") as jasmine, Visitor(mesh) as anybody:
        await eventually(lambda: _shows(jason, "reviews-v2"))
        assert set(await jason.reviewers(30)) == {"reviews-v2"}
        assert set(await jasmine.reviewers(30)) == {"reviews-v1"}
        assert set(await anybody.reviewers(30)) == {"reviews-v1"}
        assert (await jason.page()).stars == "black"


async def test_red_stars_for_everybody(mesh: Bookinfo) -> None:
    """A route to v3 shows red stars to each visitor."""
    await mesh.apply("reviews-v3.yaml")
    async with Visitor(mesh, "jason") as jason, Visitor(mesh) as anybody:
        await eventually(lambda: _shows(jason, "reviews-v3"))
        assert (await jason.page()).stars == (await anybody.page()).stars == "red"


async def test_a_delay_for_jason_brings_the_known_fault_to_light(mesh: Bookinfo) -> None:
    """Seven seconds before ratings answer jason are more than the page waits for reviews; others wait for nothing."""
    await mesh.apply("reviews-jason-v2.yaml", "ratings-delay.yaml")
    async with Visitor(mesh, "jason") as jason, Visitor(mesh) as anybody:
        await eventually(lambda: _is_missing_reviews(jason))
        late = await jason.page()
        assert "Sorry, product reviews are currently unavailable" in late.text
        assert late.seconds >= 5.9
        await eventually(lambda: _is_prompt(anybody))
    ratings = f"http://ratings:{mesh.layout.options.service_port}/ratings/0"
    delayed = await call(mesh, "reviews-v2", ratings, end_user="jason")
    assert delayed.status == 200
    assert delayed.seconds >= 6.9

    async def is_answered_at_once() -> bool:
        return (await call(mesh, "reviews-v2", ratings)).seconds < 3

    await eventually(is_answered_at_once)


async def test_an_abort_for_jason_leaves_his_reviews(mesh: Bookinfo) -> None:
    """Ratings answer jason with 500, so that his reviews have no stars; nobody else notices."""
    await mesh.apply("reviews-jason-v2.yaml", "ratings-abort.yaml")
    async with Visitor(mesh, "jason") as jason, Visitor(mesh) as anybody:
        await eventually(lambda: _says(jason, "Ratings service is currently unavailable"))
        page = await jason.page()
        assert (page.reviews, page.stars) == ("reviews-v2", "")
        assert "currently unavailable" not in (await anybody.page()).text
    ratings = f"http://ratings:{mesh.layout.options.service_port}/ratings/0"
    assert (await call(mesh, "reviews-v2", ratings, end_user="jason")).status == 500
    assert (await call(mesh, "reviews-v2", ratings)).status == 200


async def test_the_gateway_serves_its_paths_alone(mesh: Bookinfo) -> None:
    """What the gateway's routes name is served; anything else ends at the gateway."""
    async with Visitor(mesh) as visitor:
        for path in ("/productpage", "/static/style.css", "/api/v1/products", "/api/v1/products/0/ratings"):
            assert (await visitor.page(path)).status == 200, path
        for path in ("/", "/productpages", "/health", "/details/0"):
            page = await visitor.page(path)
            assert (page.status, page.text) == (404, ""), path


async def _shows(visitor: Visitor, instance: str) -> bool:
    return (await visitor.page()).reviews == instance


async def _says(visitor: Visitor, text: str) -> bool:
    return text in (await visitor.page()).text


async def _is_prompt(visitor: Visitor) -> bool:
    page = await visitor.page()
    return page.reviews == "reviews-v1" and page.seconds < 3


async def _is_missing_reviews(visitor: Visitor) -> bool:
    return (await visitor.page()).reviews == ""
