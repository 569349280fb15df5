"""docs/products.md lists every product as its file has it."""

from pathlib import Path

import pytest

from truechimer_analyzer.advice.loading import load, product_names

PAGE = (Path(__file__).parents[2] / "docs" / "products.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", product_names())
def test_the_page_has_every_product_with_what_is_advised(name: str) -> None:
    product = load(name)
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
    _, _, title, versions, settings, binds, file, _ = (cell.strip() for cell in row.split("|"))
    advised = [each.name for each in product.settings.values() if each.at_least or each.at_most]
    assert title == product.title
    assert versions == ", ".join(product.versions)
    assert settings == ", ".join(f"`{each}`" for each in advised)
    assert binds == ", ".join(product.binds)
    assert file == product.snippet.file
