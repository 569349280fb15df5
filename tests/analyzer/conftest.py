"""One analyzer process for the tests of a file that only need some analyzer."""

import pytest
from analyzer.analyzer_process import Analyzer


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """Shared within a file: each test uses node names of its own."""
    process = Analyzer(tmp_path_factory.mktemp("analyzer"))
    yield process
    process.end()
