"""docs/deploy.md: its values render, its commands name what exists."""

from __future__ import annotations

import re
import shlex

import helm_python
import pytest
import yaml

from tests.deployment.chart import CHART, objects, of_kind, rendered

ROOT = CHART.parent.parent
PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
VALUES = [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)]
COMMANDS = [
    shlex.split(line, comments=True)
    for text in re.findall(r"^```sh\n(.*?)^```", PAGE, re.M | re.S)
    for line in text.replace("\\\n", " ").splitlines()
]


def test_the_page_has_an_example_for_each_kind_of_cluster() -> None:
    assert len(VALUES) == 3


@pytest.mark.parametrize("values", VALUES)
def test_the_examples_of_values_lint_and_render(values: dict[str, object]) -> None:
    report = helm_python.lint(CHART, values, strict=True)
    assert report["errors"] == []
    notes = rendered(values, "speech")["scriptorium/templates/NOTES.txt"]
    assert "no pool does" not in notes and "pico" not in notes
    assert "speech-scriptorium-api" in of_kind(objects(values, "speech"), "Service")


def test_the_commands_of_helm_name_a_chart_and_values_that_exist() -> None:
    ours = [words for words in COMMANDS if words[0] == "helm" and "helm/scriptorium" in words]
    assert {"lint", "upgrade"} <= {words[1] for words in ours}
    for words in ours:
        assert (ROOT / "helm/scriptorium" / "Chart.yaml").exists()
        settings = [words[index + 1] for index, word in enumerate(words) if word == "--set"]
        for expression in settings:
            changed = VALUES[-1] | {
                key: VALUES[-1].get(key, {}) | value
                for key, value in helm_python.parse_set_string(expression).items()
            }
            rendered(changed, "speech")


def test_the_images_are_targets_of_the_dockerfile() -> None:
    targets = {
        words[words.index("--target") + 1] for words in COMMANDS if words[:2] == ["docker", "build"]
    }
    stages = re.findall(r"^FROM .* AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.M)
    assert targets == {"orchestrator", "gpu-worker"}
    assert targets <= set(stages)


def test_the_pages_that_it_names_exist() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target


def test_the_notes_name_the_hosts_of_a_gateway() -> None:
    values = yaml.safe_load((CHART / "ci" / "gke.yaml").read_text(encoding="utf-8"))
    notes = rendered(values, "speech")["scriptorium/templates/NOTES.txt"]
    assert "speech.example.org, by the Gateway" in notes
    assert "port-forward service/speech-scriptorium-api" not in notes
