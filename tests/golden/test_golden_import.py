"""Stack files before and after: `import/<dialect>-<case>/stack.yml` gives `imported.yml` and `report.txt`.

`REWRITE_GOLDEN=1` writes what the code makes now; read the difference before committing it.
"""

from __future__ import annotations

import os
import re
import subprocess
import textwrap
from pathlib import Path
from typing import cast

import pytest
import yaml

from interlock_importer import report
from interlock_importer.importing import import_stack
from support.stacks import checked

GUIDE = Path(__file__).parents[2] / "docs" / "migrating.md"
CASES = sorted(path for path in (Path(__file__).parent / "import").iterdir() if path.is_dir())


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_import(case: Path) -> None:
    dialect = cast("report.Dialect", case.name.partition("-")[0])
    before = (case / "stack.yml").read_text()
    imported = import_stack(before, dialect)
    made = {"imported.yml": imported.text, "report.txt": report.text(imported.report, "stack.yml")}
    for name, text in made.items():
        if os.environ.get("REWRITE_GOLDEN") == "1":
            (case / name).write_text(text)
        assert text == (case / name).read_text()
    again = import_stack(imported.text, dialect)
    assert again.text == imported.text
    assert again.report.notes == imported.report.notes


def example_of_the_guide() -> tuple[tuple[str, str], ...]:
    blocks = re.findall(r"^ +```yaml (\w+)\n(.*?)^ +```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    return tuple((kind, textwrap.dedent(block)) for kind, block in blocks)


def test_the_example_of_the_guide_is_true() -> None:
    (dialect, before), (_, after) = example_of_the_guide()
    imported = import_stack(before, cast("report.Dialect", dialect))
    assert imported.text == after
    assert imported.report.complete


def test_the_next_step_of_the_guide_finds_nothing_in_its_example() -> None:
    for _, stack in example_of_the_guide():
        assert [each.message for each in checked(stack, stack="shop").report.findings] == []


@pytest.mark.docker_cli
def test_docker_takes_the_example_of_the_guide(tmp_path: Path) -> None:
    (tmp_path / "stack.yml").write_text(example_of_the_guide()[-1][1])
    command = ["docker", "stack", "config", "-c", str(tmp_path / "stack.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # What `docker stack deploy` refuses beyond that: networks that the file does not define.
    stack = yaml.safe_load(done.stdout)
    assert all(stack["networks"].keys() >= service["networks"].keys() for service in stack["services"].values())
