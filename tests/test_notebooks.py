"""Every notebook is its source, run to its end: cell for cell the script beside it, with what it showed."""

import json
import re
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
SOURCES = sorted(NOTEBOOKS.glob("[0-9]*.py"))


def cells(script):
    """The cells of a percent script as (kind, text)."""
    for part in re.split(r"^# %%", script, flags=re.M)[1:]:
        head, _, body = part.partition("\n")
        if "[markdown]" in head:
            yield "markdown", re.sub(r"^# ?", "", body, flags=re.M).strip()
        else:
            yield "code", body.strip()


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_is_its_source_run_to_its_end(source):
    notebook = json.loads(source.with_suffix(".ipynb").read_text())["cells"]
    found = [(cell["cell_type"], "".join(cell["source"]).strip()) for cell in notebook]
    assert found == list(cells(source.read_text()))
    code = [cell for cell in notebook if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] == at for at, cell in enumerate(code, 1)), "top to bottom"
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    warned = "".join("".join(output["text"]) for output in outputs if output.get("name") == "stderr")
    assert all(re.match(r"(tagged|cmudict): .*(CC BY|licence)", line) for line in warned.splitlines()), "terms of data"
    assert any("image/png" in output.get("data", {}) for output in outputs), "it ends in a figure"
    assert "**요약.**" in found[0][1] and any("assert " in text for kind, text in found if kind == "code")
