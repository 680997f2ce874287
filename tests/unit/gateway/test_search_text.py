import pytest

from services.catalog import definition as catalog
from services.catalog.publishing import published_definition
from services.gateway.projections.modules import search_text, words_in


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("App_CloudRunDjango32", {"app", "cloud", "run", "django"}),
        ("GCPProject", {"gcp", "project"}),
        ("gke-cluster", {"gke", "cluster"}),
    ],
)
def test_a_module_is_found_by_the_words_in_its_name(name: str, words: set[str]) -> None:
    own = catalog.Definition(name=name, title="X", credit_cost=1)
    definition = published_definition(own)
    assert words <= set(words_in(search_text(definition)))
