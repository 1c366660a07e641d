"""What panels show of a cluster that is known, played in promtool: nothing is counted twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.deployment.promtool import needs_promtool, promtool
from tests.unit.deployment.test_dashboards import BOARDS, panels

# Each is scraped from two processes: two pods on one card, two APIs and reconcilers.
TWICE = {
    # Time slicing: one card, two workers of one pool.
    'scriptorium_gpu_power_watts{gpu="0",name="H200",uuid="GPU-1",node="n1",pool="gpu"}': "300x20",
    'scriptorium_gpu_energy_joules_total{gpu="0",name="H200",uuid="GPU-1",node="n1",pool="gpu"}': (
        "1000+18000x20"  # 300 W
    ),
    # A card in MIG mode, of which each of two pods sees the whole and its own instance.
    'scriptorium_gpu_power_watts{gpu="0",name="A100",uuid="GPU-2",node="n2",pool=""}': "200x20",
    'scriptorium_gpu_memory_bytes{gpu="0",name="H200",uuid="GPU-1",node="n1",kind="total"}': "9x20",
    'scriptorium_gpu_memory_bytes{gpu="0",name="A100",uuid="GPU-2",node="n2",kind="total"}': "8x20",
    'scriptorium_gpu_memory_bytes{gpu="0:1",name="A100 MIG",uuid="MIG-1",node="n2",kind="total"}': (
        "1x20"
    ),
    # The same index and name on another machine.
    'scriptorium_gpu_power_watts{gpu="0",name="H200",uuid="GPU-3",node="n3",pool="gpu"}': "100x20",
    'scriptorium_gpu_memory_bytes{gpu="0",name="H200",uuid="GPU-3",node="n3",kind="total"}': "9x20",
    'scriptorium_audio_seconds_total{stage="transcribe",model="tiny"}': "0+3600x20",
    'scriptorium_workers{pool="gpu",state="busy",device="cuda"}': "2x20",
    'scriptorium_workers{pool="mig",state="idle",device=""}': "0x20",
    "scriptorium_reissued_units_total": "12x20",
    'scriptorium_jobs_ended_total{status="completed"}': "0+6x20",
    'scriptorium_jobs_ended_total{status="partial"}': "0 0 0 0 0 0 0 0 0 0 2x10",
    'scriptorium_jobs_ended_total{status="failed"}': "0x20",
}
OTHER = 'gpu="3",name="H200",uuid="GPU-1",node="f00d"'
SHOWN: dict[str, list[tuple[str, float]]] = {
    "GPUs": [("{}", 3)],
    "Power": [("{}", 600)],
    "Energy for an hour of audio": [("{}", 300 / 120)],  # two workers, 60 s of audio a second each
    "Workers there and wanted": [
        ('{pool="gpu", state="busy", device="cuda"}', 2),
        ('{pool="mig", state="idle"}', 0),  # to Prometheus an empty label is none
    ],
    "Units issued again, unreadable records": [("{}", 0)],
}


def query(title: str) -> str:
    """A panel's first query, as Grafana sends it with everything chosen."""
    (panel,) = [it for board in BOARDS.values() for it in panels(board) if it["title"] == title]
    text: str = panel["targets"][0]["expr"]
    for name in ("$namespace", "$release", "$job"):
        text = text.replace(name, ".*")
    return text.replace("$__rate_interval", "5m")


@needs_promtool
def test_what_several_processes_tell_is_shown_once(tmp_path: Path) -> None:
    series: list[dict[str, str]] = []
    for name, values in TWICE.items():
        for pod in "ab":
            labels = name.partition("{")[2].rstrip("}")
            if pod == "b":  # a container, in which the card's index and the host's name differ
                labels = labels.replace('gpu="0",name="H200",uuid="GPU-1",node="n1"', OTHER)
            target = f'namespace="speech",release="demo",job="api",instance="{pod}"'
            told = ",".join(filter(None, (labels, target)))
            series.append({"series": f"{name.partition('{')[0]}{{{told}}}", "values": values})
    asked: list[dict[str, Any]] = [
        {
            "expr": f"round({query(title)}, 0.001)",
            "eval_time": "15m",
            "exp_samples": [{"labels": labels, "value": value} for labels, value in shown],
        }
        for title, shown in SHOWN.items()
    ]
    share = "sum(increase(scriptorium_jobs_ended_total{status=~'failed|partial'}[10m]))"
    share += " / sum(increase(scriptorium_jobs_ended_total[10m])) > bool 0"
    asked.append({"expr": share, "eval_time": "15m", "exp_samples": [{"labels": "{}", "value": 1}]})
    test = {"interval": "1m", "input_series": series, "promql_expr_test": asked}
    path = tmp_path / "test.yaml"
    path.write_text(
        yaml.safe_dump({"rule_files": [], "evaluation_interval": "1m", "tests": [test]})
    )
    promtool("test", "rules", path)
