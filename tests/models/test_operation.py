"""The ids of jobs: of one attempt of one operation, and read back."""

import pytest

from ravada_web.models import Operation, attempt_id, operation_of


def test_a_job_is_of_one_attempt_and_is_read_back() -> None:
    assert Operation(id=7, attempt=2).job_id == attempt_id(7, 2) != attempt_id(7, 3)
    assert operation_of(attempt_id(7, 2)) == 7


@pytest.mark.parametrize("job_id", ["", "op-", "op-7", "op-x-1", "check-7-1", "op-7-1-2", "xop-7-1"])
def test_other_jobs_are_of_no_operation(job_id: str) -> None:
    assert operation_of(job_id) is None
