"""Lists of jobs are put together so that pages miss none and repeat none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cluster.job_order import Place, in_order, is_behind, merged, place_of
from tests.inputs.examples import JOB

JOBS = st.sets(st.tuples(st.integers(0, 9).map(float), st.text("ab", min_size=1, max_size=3)))


def page(of: set[Place], size: int, before: Place | None) -> list[Place]:
    return sorted((it for it in of if is_behind(it, before)), key=in_order)[:size]


@given(st.lists(JOBS, min_size=1, max_size=4), st.integers(1, 5))
def test_pages_of_merged_lists_have_every_job_once_in_order(
    lists: list[set[Place]], size: int
) -> None:
    found: list[Place] = []
    before = None
    while piece := merged([page(it, size, before) for it in lists], size):
        found += piece
        before = piece[-1]
    assert found == sorted(set().union(*lists), key=in_order)


@given(JOBS, st.integers(1, 4), st.data())
def test_a_job_that_is_there_all_the_time_is_on_one_page_whatever_comes_goes_and_ends(
    jobs: set[Place], size: int, data: st.DataObject
) -> None:
    """Between two pages jobs are submitted, deleted, and move from one list to the other."""
    opened, ended = set(jobs), set[Place]()
    stays, seen, before = set(jobs), list[Place](), None
    while piece := merged([page(it, size, before) for it in (opened, ended)], size):
        seen += piece
        before = piece[-1]
        moves = set(data.draw(st.lists(st.sampled_from(sorted(jobs)))))
        ended |= moves & opened
        opened -= moves
        for gone in data.draw(st.lists(st.sampled_from(sorted(jobs)), max_size=1)):
            opened, ended, stays = opened - {gone}, ended - {gone}, stays - {gone}
        opened |= data.draw(JOBS)
    assert len(seen) == len(set(seen))
    assert stays <= set(seen)


def test_an_id_of_ours_says_its_time_whatever_else_is_told() -> None:
    ours = f"{5_000:011x}{7:012x}"
    assert place_of(ours, 9.0) == (5.0, ours)
    assert place_of(JOB, 9.0) == (9.0, JOB)
