"""What `rnnjax sample` takes and does."""

import dataclasses
from pathlib import Path

import tyro

from rnnjax.tasks import kept, language
from rnnjax.tasks.options import check_seed
from rnnjax.tasks.sampling import Taste
from rnnjax.train.interrupt import interruptible
from rnnjax.train.run import Run


@dataclasses.dataclass(frozen=True)
class Sample:
    """Write text with the model of a run of the task language, as it is generated."""

    run: tyro.conf.Positional[Path]
    """The run's folder, as runs/bible-lstm."""
    best: bool = False
    """The best checkpoint on the held-out part, instead of the last."""
    prompt: str = "\n"
    """Text to go on from."""
    temperature: float = 0.8
    """1 is the model as it is; less is bolder towards the likely; 0 always takes the likeliest."""
    top_k: int = 0
    """Only the k likeliest symbols; 0 for all."""
    top_p: float = 1.0
    """Only the fewest likeliest symbols that together have this probability (nucleus sampling); 1 for all."""
    length: int = 500
    """How many symbols to write."""
    seed: int = 0
    """Another seed, another text."""

    def __post_init__(self):
        check_seed("sample", self.seed)
        if self.length < 0:
            raise ValueError(f"sample: length must be at least 0, but length is {self.length}. Give more.")

    def __call__(self, console):
        network, vocabulary, params = kept.language_model("sample", Run(self.run), best=self.best)
        taste = Taste(self.temperature, self.top_k, self.top_p)
        pieces = language.sampled(network, vocabulary, params, self.prompt, taste, self.length, self.seed)
        with interruptible() as stopped:
            for piece in pieces:
                print(piece, end="", flush=True)
                if stopped():
                    raise KeyboardInterrupt
        print()
