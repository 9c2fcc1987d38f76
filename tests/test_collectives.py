"""What devices exchange in a step of training, counted in the compiled program: what it should be on paper."""

import jax
import pytest

from benchmarks.collectives import compiled, counted, paper, sent

SHAPE = dict(B=16, m=256, T=8)


@pytest.mark.parametrize("text, waits", [("data=4", 1), ("model=2", None), ("fsdp=4", 3)])
def test_as_on_paper(text, waits):
    with jax.enable_x64(False):
        found = counted(compiled(text, **SHAPE))
    inside, outside = paper(text, **SHAPE)
    assert sum(found.inside.values()) == pytest.approx(inside, rel=1e-6)
    assert sum(found.outside.values()) == pytest.approx(outside, rel=0.02)
    assert waits is None or found.waits == waits
    if text == "model=2":  # of every step the state ahead, and its gradient back; once it is all of the states
        assert set(found.inside) == {"all-gather", "all-reduce"} and found.waits < 2 * SHAPE["T"] + 10


def test_loops_count_as_often_as_they_run():
    text = """
%body (p: f32[4]) -> f32[4] {
  %a = f32[4]{0} all-gather(%p), replica_groups=[2,4]<=[8], dimensions={0}
}
ENTRY %main (p: f32[4]) -> f32[4] {
  %b = (f32[8]{0}, bf16[2,2]{1,0}) all-reduce(%p, %q), replica_groups={{0,1},{2,3}}, to_apply=%add
  %c = f32[4]{0} collective-permute(%p), source_target_pairs={{0,1}}
  %w = f32[4]{0} while(%p), condition=%cond, body=%body, backend_config={"known_trip_count":{"n":"10"}}
}
"""
    found = counted(text)
    assert found.inside == {"all-gather": 10 * 0.75 * 16}
    assert found.outside == {"all-reduce": 40.0, "collective-permute": 16} and found.waits == 12
    assert sent("reduce-scatter", 4, 8) == 28 and sent("all-to-all", 8, 4) == 6
