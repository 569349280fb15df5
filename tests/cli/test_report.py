"""`truechimer report`: what is asked for, and which form goes where."""

import json
from urllib.parse import parse_qsl, urlsplit

import pytest

from truechimer_cli.main import run


def answer(analyzer, document, *options):
    analyzer.answers["/api/v1/report"] = (200, document)
    return run(["report", "--store", analyzer.url, *options])


def query_of(analyzer):
    return dict(parse_qsl(urlsplit(analyzer.asked[-1][0]).query))


def test_reports_go_to_stdout_or_a_file(analyzer, capsys, tmp_path):
    """Markdown to stdout where nothing is said; a folder that is not there is the user's to make."""
    document = {"markdown": "# Report\n"}
    assert answer(analyzer, document) == 0
    assert answer(analyzer, document, "--md", "-") == 0
    assert capsys.readouterr().out == "# Report\n" * 2
    assert answer(analyzer, document, "--md", str(tmp_path / "out.md")) == 0
    assert (tmp_path / "out.md").read_text() == "# Report\n"
    assert answer(analyzer, document, "--md", str(tmp_path / "no" / "out.md")) == 2
    assert answer(analyzer, document, "--json") == 0
    assert json.loads(capsys.readouterr().out) == document


def test_a_report_is_asked_for_in_the_formats_that_go_somewhere(analyzer, capsys, tmp_path):
    """HTML is only made where it is wanted; --json has the Markdown beside the documents, never the page."""
    document = {"markdown": "# Report → µs\n", "html": "<!doctype html>µ", "documents": {}}
    page, text = tmp_path / "out.html", tmp_path / "out.md"
    assert answer(analyzer, document) == 0
    assert query_of(analyzer) == {}
    assert answer(analyzer, document, "--html", str(page)) == 0
    assert query_of(analyzer) == {"format": "html"}
    assert answer(analyzer, document, "--html", str(page), "--md", str(text)) == 0
    assert query_of(analyzer) == {"format": "md,html"}
    assert capsys.readouterr().out == "# Report → µs\n"
    assert (page.read_bytes(), text.read_bytes()) == ("<!doctype html>µ".encode(), "# Report → µs\n".encode())
    assert answer(analyzer, document, "--html", "-") == 0
    assert capsys.readouterr().out == "<!doctype html>µ"
    assert answer(analyzer, document, "--json", "--html", str(page)) == 0
    assert query_of(analyzer) == {"format": "md,html,json"}
    assert json.loads(capsys.readouterr().out) == {"markdown": "# Report → µs\n", "documents": {}}


def test_a_report_for_products_asks_for_them(analyzer, capsys, tmp_path):
    """Of a present configuration only the settings' values are sent."""
    assert answer(analyzer, {"markdown": ""}, "--product", "etcd@3.5", "--product", "kafka") == 0
    assert query_of(analyzer) == {"product": "etcd@3.5,kafka"}
    present = tmp_path / "etcd.conf.yml"
    present.write_text("name: secret\nelection-timeout: 1000\n")
    assert answer(analyzer, {"markdown": ""}, "--product", "etcd", "--current", str(present)) == 0
    assert query_of(analyzer)["product"] == "etcd"
    assert json.loads(query_of(analyzer)["current"]) == {"etcd": {"election_timeout": 1000}}


@pytest.mark.parametrize(
    "words", [["--md", "-", "--html", "-"], ["--json", "--md", "-"], ["--json", "--html", "-"]]
)
def test_only_one_form_of_a_report_goes_to_stdout(analyzer, capsys, words):
    assert answer(analyzer, {}, *words) == 2
    assert "only one of" in capsys.readouterr().err
    assert analyzer.asked == []


def test_an_analyzer_that_makes_no_html_is_not_believed(analyzer, capsys, tmp_path):
    assert answer(analyzer, {"markdown": "x"}, "--html", str(tmp_path / "x")) != 0
    assert "holds no HTML" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
