"""Stack files before and after: `import/<dialect>-<case>/stack.yml` gives `imported.yml` and `report.txt`.

`REWRITE_GOLDEN=1` writes what the code makes now; read the difference before committing it.
"""

from __future__ import annotations

import os
import re
import textwrap
from pathlib import Path
from typing import cast

import pytest

from interlock_importer import report
from interlock_importer.importing import import_stack

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


def test_the_example_of_the_guide_is_true() -> None:
    blocks = re.findall(r"^ +```yaml (\w+)\n(.*?)^ +```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    (dialect, before), (_, after) = [(kind, textwrap.dedent(block)) for kind, block in blocks]
    imported = import_stack(before, cast("report.Dialect", dialect))
    assert imported.text == after
    assert imported.report.complete
