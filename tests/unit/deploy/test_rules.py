"""The alerts: Prometheus takes them, each fires and is quiet as it should, and each has a section in the runbook."""

import re
import subprocess
from typing import Any

import pytest
import yaml

from dirsync.runtime.metrics.catalogue import CATALOGUE, replica_metrics
from tests.support.outside.manifests import REPOSITORY

RULES = REPOSITORY / "deploy" / "prometheus" / "rules.yml"
TESTS = REPOSITORY / "tests" / "unit" / "deploy" / "rules_test.yml"
RUNBOOK = REPOSITORY / "docs" / "runbook.md"
OPERATOR = REPOSITORY / "deploy" / "kubernetes" / "components" / "monitoring" / "prometheusrule.yaml"


def rules() -> list[dict[str, Any]]:
    """All rules."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


ALERTS = [rule for rule in rules() if "alert" in rule]


@pytest.mark.needs("prometheus")
@pytest.mark.parametrize(
    "command", [["check", "rules", str(RULES)], ["test", "rules", str(TESTS)]], ids=["check", "test"]
)
def test_promtool(command: list[str]) -> None:
    """Prometheus's own tool finds nothing, and what the tests expect."""
    done = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_alert(alert: dict[str, Any]) -> None:
    """It says what to do, has a test in which it fires and a moment in which it does not, and a section."""
    name = alert["alert"]
    asked = [
        expected
        for test in yaml.safe_load(TESTS.read_text())["tests"]
        for expected in test.get("alert_rule_test", [])
        if expected["alertname"] == name
    ]

    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert alert["annotations"]["runbook"] == f"docs/runbook.md#{name.lower()}"
    assert f"\n## {name}\n" in RUNBOOK.read_text()
    assert {True, False} == {bool(expected["exp_alerts"]) for expected in asked}


def test_runbook_has_no_other_section() -> None:
    """A section is that of an alert, so none outlives its alert; none is there twice."""
    sections = re.findall(r"^## (.+)$", RUNBOOK.read_text(), re.MULTILINE)

    assert sorted(alert["alert"] for alert in ALERTS) == sorted(sections)


def test_metrics_exist() -> None:
    """Every metric in an expression is one that the programs have."""
    known = {metric.name for metric in (*CATALOGUE, *replica_metrics(["default"]))}
    named = {name for rule in rules() for name in re.findall(r"\bdirsync_\w+", rule["expr"])}

    assert {
        name for name in named if re.sub(r"_(bucket|count|sum)$", "", name) not in known and name not in known
    } == set()


def test_operator_has_the_same() -> None:
    """The rules for the Prometheus operator are those of the file."""
    assert yaml.safe_load(OPERATOR.read_text())["spec"]["groups"] == yaml.safe_load(RULES.read_text())["groups"]
