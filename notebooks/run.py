"""Run the notebooks' sources, small, as continuous integration does; or in full, and write the .ipynb.

python notebooks/run.py [--write] [01 02 ...]
"""

import os
import subprocess
import sys
import time
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

    notebook = jupytext.read(source)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbclient.NotebookClient(notebook, timeout=3600, resources={"metadata": {"path": str(HERE)}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    jupytext.write(notebook, source.with_suffix(".ipynb"))


def main(arguments):
    wanted = [word for word in arguments if not word.startswith("-")]
    for source in sorted(HERE.glob("[0-9]*.py")):
        if not wanted or source.name[:2] in wanted:
            if "--write" in arguments:
                write(source)
                print(f"{source.stem}: written")
            else:
                print(f"{source.stem}: {small(source):.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
