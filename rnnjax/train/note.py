"""What stands beside the arrays of a checkpoint: what they are, how good, where in the data, and the sums of all."""

import json
from pathlib import Path

from rnnjax.train.leaves import sum_of, sums, types

FILE = "_CHECKPOINT_METADATA"  # where Orbax writes it


class Broken(Exception):
    """What is wrong with a checkpoint."""


def noted(leaves, *, config: str, score: float | None, data: dict) -> dict:
    """The note of these leaves, as JSON holds it."""
    note = {"config": config, "score": score, "data": data, "types": types(leaves), "sums": sums(leaves)}
    return {"rnnjax": note | {"sum": sum_of(note)}}


def note_of(folder: Path) -> dict:
    """The note of the checkpoint in a folder; nothing of one by the first rnnjax. Raises `Broken`."""
    try:
        whole = json.loads((folder / FILE).read_text())["custom_metadata"]
        note = dict(whole["rnnjax"]) if whole else {}
        right = not note or note.pop("sum") == sum_of(note)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Broken(f"{FILE} cannot be read ({type(error).__name__})") from error
    if not right:
        raise Broken(f"the sum of {FILE} is another")
    return note


def hold(note: dict, leaves) -> None:
    """Raise `Broken` unless the leaves are those of the note."""
    if not note:
        return
    if types(leaves) != note["types"]:
        raise Broken("its arrays have other shapes than were saved")
    if count := sum(a != b for a, b in zip(sums(leaves), note["sums"], strict=True)):
        raise Broken(f"{count} of its {len(leaves)} arrays have other bytes than were saved")
