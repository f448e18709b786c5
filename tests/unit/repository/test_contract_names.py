"""Terraform takes its names from the contract: it uses no unknown metric and repeats no name.

Terraform looks custom metrics up by name and fails the plan when one is missing. These checks find the error without
a plan. They also find what a plan cannot: a literal metric name in the contract's namespace, and copied ports or paths.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import hcl2
import pytest
from lark import Token, Tree

from ollama_gpu.core.contract import Contract, Metric, load
from ollama_gpu.core.paths import locate

TERRAFORM = locate().terraform
CONTRACT = load(locate().contract)
WATCHING = sorted(
    path for module in ("observability", "fleet") for path in (TERRAFORM / "modules" / module).glob("*.tf")
)
EVERYWHERE = sorted(path for path in TERRAFORM.rglob("*.tf") if ".terraform" not in path.parts)

# Locals in modules/observability that are maps keyed by metric name.
BY_METRIC = r"local\.(?:custom\[[^\]]*\]|line\[[^\]]*\]|unit|field|group_dimension|fleet_lines|percentile_lines)"
LOOKED_UP = re.compile(rf"(?:metrics\.names|{BY_METRIC})(?:\.(?P<attribute>[A-Za-z_]\w*)|\[\"(?P<index>[^\"]+)\"\])")
SEARCHED = re.compile(r"MetricName=\\?\"(\w+)\\?\"")


def relative(path: Path) -> str:
    return str(path.relative_to(TERRAFORM))


def parse(source: str) -> Tree[Token]:
    """Return the syntax tree of one file."""
    tree: Tree[Token] = hcl2.parses_to_tree(source if source.endswith("\n") else source + "\n")
    return tree


def tokens(node: Tree[Token] | Token) -> Iterator[str]:
    if isinstance(node, Token):
        yield str(node)
    elif node.data == "new_line_or_comment":
        yield "\n"
    else:
        for child in node.children:
            yield from tokens(child)


def code(node: Tree[Token]) -> str:
    """Return the code of a node without comments, and with spaces only between words."""
    return re.sub(r"(?<!\w) | (?!\w)", "", " ".join(" ".join(tokens(node)).split()))


def literal(node: Tree[Token]) -> str:
    """Return the value of a string node, with ``{}`` for each interpolation."""
    parts = [part for part in node.children if isinstance(part, Tree) and part.data == "string_part"]
    return "".join(
        "{}" if any(isinstance(piece, Tree) for piece in part.children) else "".join(tokens(part)) for part in parts
    )


def plain_string(node: Tree[Token]) -> str | None:
    """Return the value of an expression that is a literal string, otherwise None."""
    if node.data == "expr_term" and len(node.children) == 1 and isinstance(node.children[0], Tree):
        node = node.children[0]
    return literal(node) if node.data == "string" else None


def strings(node: Tree[Token]) -> Iterator[str]:
    yield from (literal(found) for found in node.find_data("string"))


def arguments(node: Tree[Token]) -> dict[str, Tree[Token]]:
    """Return the names and values of an object or block, without nested ones."""
    named = {}
    for child in node.children:
        if isinstance(child, Tree) and child.data in ("attribute", "object_elem"):
            inner = [part for part in child.children if isinstance(part, Tree)]
            named[code(inner[0]).strip('"')] = inner[-1]
    return named


def unknown_metrics(source: str, contract: Contract) -> list[str]:
    """Return names that are used as metrics of the contract but are not in it."""
    tree = parse(source)
    used = {found["attribute"] or found["index"] for found in LOOKED_UP.finditer(code(tree))}
    used |= {name for value in strings(tree) for name in SEARCHED.findall(value)}
    ours = ("metrics.namespace", f'"{contract.metrics.namespace}"')

    for node in tree.find_pred(lambda found: found.data in ("object", "body")):
        own = arguments(node)
        name = plain_string(own["metric_name"]) if "metric_name" in own else None
        # Without an AWS namespace in the same block, a literal counts as a metric of the contract.
        if name is not None and not ("namespace" in own and code(own["namespace"]).startswith('"AWS/')):
            used.add(name)
    for node in tree.find_data("tuple"):  # a line of a dashboard: [namespace, metric, dimension, value, ...]
        items = [child for child in node.children if isinstance(child, Tree) and child.data == "expr_term"]
        if len(items) > 1 and code(items[0]).endswith(ours) and (name := plain_string(items[1])) is not None:
            used.add(name)
    for node in tree.find_pred(lambda found: found.data in ("for_object_expr", "for_tuple_expr")):
        intro = next(part for part in node.children if isinstance(part, Tree) and part.data == "for_intro")
        for variable in re.findall(r"metrics\.names\[(\w+)\]", code(node)):
            if re.search(rf"\b{variable}\b.* in\b", code(intro)):
                used |= set(strings(intro))
    return sorted(used - set(contract.metrics.names))


def copied_names(source: str, contract: Contract) -> list[str]:
    """Return literals that repeat a port, path or name of the contract."""
    tree = parse(source)
    numbers = {str(port) for port in contract.ports.values()}
    hooks = contract.lifecycle_hooks
    exact = {*contract.health.values(), hooks.launch, hooks.terminate, contract.metrics.namespace, *numbers}
    tables = (contract.parameters, contract.secrets, contract.log_groups, contract.artifacts, contract.state)
    templates = [
        re.compile(".+".join(re.escape(part) for part in re.split(r"\{\w+\}", name)))
        for table in tables
        for name in table.values()
    ]
    found = {str(token) for node in tree.find_data("int_lit") for token in node.children if str(token) in numbers}
    for value in strings(tree):
        if value in exact or any(template.fullmatch(value) for template in templates):
            found.add(value)
    return sorted(found)


def faults(metric: Metric) -> list[str]:
    """Return the errors in a metric's entry."""
    units = botocore.session.get_session().get_service_model("cloudwatch").shape_for("StandardUnit").metadata["enum"]
    wrong = []
    if metric.unit not in units:
        wrong.append(f"unit {metric.unit} is not a CloudWatch unit")
    if not metric.dimensions or not all(group and all(group) for group in metric.dimensions):
        wrong.append("a dimension set is missing or empty")
    return wrong


@pytest.mark.parametrize("path", WATCHING, ids=relative)
def test_alarms_widgets_and_scaling_policies_use_only_metrics_of_the_contract(path: Path) -> None:
    assert unknown_metrics(path.read_text(), CONTRACT) == []


@pytest.mark.parametrize("path", EVERYWHERE, ids=relative)
def test_terraform_repeats_no_port_path_or_name_of_the_contract(path: Path) -> None:
    assert copied_names(path.read_text(), CONTRACT) == []


@pytest.mark.parametrize("name", sorted(CONTRACT.metrics.names))
def test_every_metric_of_the_contract_has_a_unit_and_dimensions(name: str) -> None:
    assert faults(CONTRACT.metrics.names[name]) == []


def test_alarms_and_policies_look_metrics_up_in_the_contract() -> None:
    used = {found["attribute"] for path in WATCHING for found in LOOKED_UP.finditer(code(parse(path.read_text())))}
    assert {"TimeToFirstToken", "Queued", "GpuCount", "nvidia_smi_memory_used"} <= used


@pytest.mark.parametrize(
    "source",
    [
        "x = var.contract.metrics.names.Misspelt.unit",
        'x = local.contract.metrics.names["Misspelt"]',
        "x = { for fleet in keys(var.fleets) : fleet => merge(local.custom[fleet].Misspelt, { a = 1 }) }",
        'x = concat(local.line["a"].Misspelt, [{ label = "a" }])',
        'x = "filter ${local.field.Misspelt} > 0"',
        "x = <<-EOT\n  filter ${local.field.Misspelt} > 0\nEOT",
        'x = { metric_name = "Misspelt", namespace = var.contract.metrics.namespace }',
        'x = { metric_name = "Misspelt" }',
        'resource "an_alarm" "x" {\n  metric_name = "Misspelt"\n  namespace = "OllamaGPU"\n}',
        'x = [var.contract.metrics.namespace, "Misspelt", "AutoScalingGroupName", "a"]',
        'x = ["OllamaGPU", "Misspelt"]',
        'x = { for id, name in { a = "Misspelt" } : id => var.contract.metrics.names[name].dimensions }',
        "x = \"SEARCH('{OllamaGPU,AutoScalingGroupName} MetricName=\\\"Misspelt\\\"', 'p95', 60)\"",
    ],
)
def test_a_metric_that_is_not_in_the_contract_is_found(source: str) -> None:
    assert unknown_metrics(source, CONTRACT) == ["Misspelt"]


@pytest.mark.parametrize(
    "source",
    [
        "x = local.custom[fleet].Queued",
        'x = { metric_name = "Queued", namespace = var.contract.metrics.namespace }',
        'x = { metric_name = "CPUUtilization", namespace = "AWS/RDS" }',
        "# local.custom[fleet].Misspelt\nx = 1",
    ],
)
def test_a_metric_of_the_contract_or_of_aws_is_accepted(source: str) -> None:
    assert unknown_metrics(source, CONTRACT) == []


@pytest.mark.parametrize(
    ("source", "copied"),
    [
        ("port = 8443", "8443"),
        ('port = "11434"', "11434"),
        ('path = "/healthz"', "/healthz"),
        ('name = "/ollama-gpu/${var.environment}/gateway"', "/ollama-gpu/{}/gateway"),
        ('name = "/ollama-gpu/prod/image"', "/ollama-gpu/prod/image"),
        ('name = "/aws/events/ollama-gpu-${var.environment}"', "/aws/events/ollama-gpu-{}"),
        ('name = "ollama-gpu/dev/database"', "ollama-gpu/dev/database"),
        ('name = "instance-ready"', "instance-ready"),
        ('namespace = "OllamaGPU"', "OllamaGPU"),
    ],
)
def test_a_name_copied_from_the_contract_is_found(source: str, copied: str) -> None:
    assert copied_names(source, CONTRACT) == [copied]


def test_a_comment_or_another_number_is_not_a_copy() -> None:
    assert copied_names('# the gateway listens on 8443\nx = 443\ny = "443"', CONTRACT) == []


@pytest.mark.parametrize(
    "broken",
    [
        {"unit": None},
        {"unit": "Furlongs"},
        {"dimensions": []},
        {"dimensions": [[]]},
    ],
)
def test_a_metric_without_unit_or_dimensions_is_found(broken: dict[str, object]) -> None:
    whole = {"unit": "Count", "dimensions": [["AutoScalingGroupName"]], "made_by": "nobody"}
    assert faults(Metric.model_validate(whole)) == []
    assert len(faults(Metric.model_validate({**whole, **broken}))) == 1
