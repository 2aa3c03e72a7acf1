"""examples/toy.ipynb: its cells run in their order, and what a cell ends with shows itself."""

import ast
import io
import json
from pathlib import Path

import pytest
from PIL import Image

NOTEBOOK = Path(__file__).parents[2] / "examples" / "toy.ipynb"
CELLS = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
CODE = {cell["id"]: "".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"}


def run_cell(source, names):
    """Run a cell as Jupyter does; the value of its last line, where that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, NOTEBOOK.name, "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), names)


def test_its_cells_run_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = CODE["settings"].replace('"train.steps=200"', '"train.steps=2", "generate.steps=2"')
    assert settings != CODE["settings"]
    names, values = {}, {}
    for name, cell in CODE.items():
        values[name] = run_cell(settings if name == "settings" else cell, names)
    assert "outputs/notebook" in values["train"]._repr_html_()
    with Image.open(tmp_path / "outputs/notebook/sheets/00.png") as sheet:
        assert Image.open(io.BytesIO(values["generate"]._repr_png_())).tobytes() == sheet.tobytes()
    assert f"{values['score'].scores.final:.6f}" in values["score"]._repr_html_()
    assert values["build"] == []
    assert (tmp_path / "outputs/notebook/entry.zip").is_file()


def test_it_is_kept_without_outputs():
    for cell in CELLS:
        assert cell.get("outputs", []) == [] and cell.get("execution_count") is None


@pytest.mark.slow
def test_jupyter_runs_it_as_it_is(tmp_path):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = {cell["id"]: cell["outputs"][-1]["data"] for cell in notebook.cells if cell.get("outputs")}
    assert "image/png" in shown["generate"]
    assert "text/html" in shown["train"] and "text/html" in shown["score"]
