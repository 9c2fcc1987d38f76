"""Run the notebooks' sources, small, as continuous integration does; or in full, and write the .ipynb.

python notebooks/run.py [--write] [01 02 ...]
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent


def small(source: Path) -> float:
    """Run a source as a script, small; the seconds it took."""
    began = time.time()
    environment = os.environ | {"RNNJAX_SMALL": "1", "MPLBACKEND": "agg", "PYTHONPATH": str(HERE.parent)}
    subprocess.run([sys.executable, "-W", "error::DeprecationWarning", source], check=True, env=environment, cwd=HERE)
    return time.time() - began


def write(source: Path) -> None:
    """Run a source in full, and keep what it shows in the .ipynb beside it."""
    import jupytext
    import nbclient

    os.environ.pop("RNNJAX_SMALL", None)
    os.environ["PYTHONPATH"] = str(HERE.parent)
    notebook = jupytext.read(source)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbclient.NotebookClient(notebook, timeout=3600, resources={"metadata": {"path": str(HERE)}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    jupytext.write(notebook, source.with_suffix(".ipynb"))


def main(arguments):
    wanted = [word for word in arguments if not word.startswith("-")]
    sources = [path for path in sorted(HERE.glob("[0-9]*.py")) if not wanted or path.name[:2] in wanted]
    if not sources:
        raise SystemExit(f"run: there must be a notebook to run, but none is {' '.join(wanted)}. Give numbers, as 01.")
    if "--write" in arguments:
        for source in sources:
            write(source)
            print(f"{source.stem}: written")
        return
    with ThreadPoolExecutor(2) as pool:
        for source, seconds in zip(sources, pool.map(small, sources)):
            print(f"{source.stem}: {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
