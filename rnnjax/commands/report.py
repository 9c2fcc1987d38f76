"""What a run has reached, as a table."""

from rich.table import Table


def report(result, console):
    """Print what a model reached on the test part, beside simple models and what others have published."""
    others = [unit for unit in result["test"] if unit != result["unit"]]
    table = Table("model", result["unit"], *others, title=f"{result['task']}: test")
    table.add_row(result["model"], *(f"{result['test'][unit]:.3f}" for unit in (result["unit"], *others)))
    for label, value in (result["baselines"] | result["published"]).items():
        table.add_row(label, f"{value:.3f}", *("" for _ in others))
    console.print(table)
