"""The generated pages of the Terraform modules are current, and their examples are planned by tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ollama_gpu.core.paths import locate
from reference_docs import terraform

REPOSITORY = locate().repository
MODULES = terraform.modules(REPOSITORY)
PAGES = terraform.pages(REPOSITORY)


def module_of(folder: Path, *, readme: str = "", variables: str = "", outputs: str = "") -> Path:
    """Write a module with an example to terraform/modules/sample, and return its repository-relative path."""
    module = Path("terraform/modules/sample")
    (folder / module / "examples" / "minimal").mkdir(parents=True)
    (folder / module / "examples" / "minimal" / "main.tf").write_text('module "sample" {\n  source = "../.."\n}\n')
    (folder / module / "README.md").write_text(readme)
    (folder / module / "variables.tf").write_text(variables)
    (folder / module / "outputs.tf").write_text(outputs)
    return module


@pytest.mark.parametrize("page", PAGES, ids=Path.as_posix)
def test_page_is_current(page: Path) -> None:
    assert (REPOSITORY / page).read_text() == PAGES[page], f"{page} is stale: run `make docs`"


def test_every_module_and_the_reference_have_a_page() -> None:
    with_variables = {path.parent.relative_to(REPOSITORY) for path in (REPOSITORY / "terraform").rglob("variables.tf")}
    assert set(MODULES) == with_variables
    assert set(PAGES) == {module / "README.md" for module in MODULES} | {terraform.REFERENCE}


@pytest.mark.parametrize(
    "module", [each for each in MODULES if each not in terraform.TESTED_VARIABLES], ids=Path.as_posix
)
def test_readme_shows_the_example_that_a_test_of_the_module_plans(module: Path) -> None:
    shown = re.search(r"^```hcl\n(.*?)^```$", (REPOSITORY / module / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert shown is not None
    assert shown[1] == (REPOSITORY / module / "examples" / "minimal" / "main.tf").read_text()
    tests = [path.read_text() for path in (REPOSITORY / module / "tests").glob("*.tftest.hcl")]
    assert any(re.search(r'^    source = "\./examples/minimal"$', text, re.MULTILINE) for text in tests)


@pytest.mark.parametrize(("module", "test"), terraform.TESTED_VARIABLES.items(), ids=str)
def test_readme_of_a_root_module_shows_the_variables_of_its_test(module: Path, test: Path) -> None:
    shown = re.search(r"^```hcl\n(.*?)^```$", (REPOSITORY / module / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert shown is not None
    indented = "".join(f"  {line}\n" for line in shown[1].splitlines())
    assert f"\nvariables {{\n{indented}}}\n" in (REPOSITORY / test).read_text()


def test_tables_have_defaults_required_inputs_and_escaped_text(tmp_path: Path) -> None:
    module = module_of(
        tmp_path,
        readme=f"# Sample\n\n{terraform.BEGIN}\nold\n{terraform.END}\n\nEnd.\n",
        variables="""
variable "zones" {
  description = <<-EOT
    One | two,
    `<a>` and <b>.
  EOT
  type = map(object({
    name = string
  }))
}

variable "count_of" {
  description = "Says \\"how many\\"."
  type        = number
  default     = null
}
""",
        outputs="".join(f'output "{name}" {{\n  description = "{name} &"\n  value = 1\n}}\n' for name in "ba"),
    )
    assert terraform.readme(tmp_path, module) == "\n".join(
        [
            *["# Sample", "", terraform.BEGIN],
            *["## Example", "", "```hcl", 'module "sample" {', '  source = "../.."', "}", "```", ""],
            *["## Inputs", "", "| Name | Type | Default | Required | Description |", "|---|---|---|---|---|"],
            '| `count_of` | `number` | `null` | no | Says "how many". |',
            "| `zones` | `map(object({name = string}))` |  | yes | One \\| two, `<a>` and &lt;b>. |",
            *["", "## Outputs", "", "| Name | Description |", "|---|---|", "| `a` | a & |", "| `b` | b & |"],
            *[terraform.END, "", "End.", ""],
        ]
    )


@pytest.mark.parametrize("text", ["", terraform.BEGIN, f"{terraform.END}\n{terraform.BEGIN}\n"])
def test_readme_without_both_markers_is_refused(tmp_path: Path, text: str) -> None:
    module = module_of(tmp_path, readme=text)
    with pytest.raises(ValueError, match="must contain one"):
        terraform.readme(tmp_path, module)


def test_attributes_of_nested_objects_have_paths_defaults_and_comments(tmp_path: Path) -> None:
    source = tmp_path / "variables.tf"
    source.write_text("""
variable "fleets" {
  description = "Fleets."
  type = map(object({
    size = number # instances

    scaling = optional(object({ # targets
      kinds = optional(list(string), ["a", "b"])
    }), {})
    schedule = optional(map(object({
      at = string # cron
    })))
    place = object({
      zone = optional(string) # null: any
    })
  }))
}
""")
    assert terraform.attributes(source, "fleets") == [
        terraform.Attribute("fleets.<key>.size", "number", None, "instances"),
        terraform.Attribute("fleets.<key>.scaling", "object", "{}", "targets"),
        terraform.Attribute("fleets.<key>.scaling.kinds", "list(string)", '["a", "b"]', ""),
        terraform.Attribute("fleets.<key>.schedule", "map(object)", "null", ""),
        terraform.Attribute("fleets.<key>.schedule.<key>.at", "string", None, "cron"),
        terraform.Attribute("fleets.<key>.place", "object", None, ""),
        terraform.Attribute("fleets.<key>.place.zone", "string", "null", "null: any"),
    ]


def test_the_reference_lists_every_attribute_of_the_root_module() -> None:
    root = REPOSITORY / "terraform"
    for variable in terraform.variables(root):
        # In a type, each attribute is `name = type`. Objects on a single line are shown as they are.
        single = sum(each.type.count(" = ") for each in terraform.attributes(root / "variables.tf", variable.name))
        listed = len(terraform.attributes(root / "variables.tf", variable.name))
        assert listed + single == variable.type.count(" = "), variable.name
