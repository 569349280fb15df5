"""The configurations beside the units are ones that the programs take without a word."""

from pathlib import Path

from truechimer.config import load_agent, load_analyzer

SHIPPED = Path(__file__).parents[2] / "systemd"


def test_the_agents_example_loads_without_a_warning():
    loaded = load_agent(SHIPPED / "agent.toml")
    assert list(loaded.warnings) == []
    assert [sink.kind for sink in loaded.config.sink] == ["influx"]


def test_the_analyzers_example_loads_without_a_warning():
    loaded = load_analyzer(SHIPPED / "analyzer.toml")
    assert list(loaded.warnings) == []


def test_the_agents_example_uncommented_loads_too(tmp_path: Path):
    """What the comments offer is right as it stands: names, units and places."""
    lines = (SHIPPED / "agent.toml").read_text().splitlines()
    offered = [
        line.removeprefix("# ") if line.startswith("# ") and ("=" in line or line.startswith("# [")) else line
        for line in lines
    ]
    path = tmp_path / "agent.toml"
    path.write_text("\n".join(offered))
    config = load_agent(path).config
    assert (config.node, config.zone, len(config.ntp.servers or ())) == ("db-1", "eu-1a", 4)
    assert [probe.target for probe in config.probe] == ["10.0.0.9:5432"]
    assert config.mesh is not None
    assert (len(config.mesh.peers), config.mesh.key_file) == (2, Path("/etc/truechimer/mesh.key"))
