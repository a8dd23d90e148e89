"""What all rooms' tests share."""

import pytest


@pytest.fixture(scope="session")
def tensorflow():
    """TensorFlow as a child process of a study has it. Whatever runs it in the tests' own process takes this first:
    its threads are settled by its first operation, wherever in the order of tests that comes.
    """
    from tinynas.model.process import configure_process

    configure_process()
