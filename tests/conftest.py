"""What all rooms' tests share."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# Made-up studies are at home with the study's tests, models written by hand with the compiler's.
sys.path[:0] = [str(Path(__file__).parent / room) for room in ("study", "compiler")]


@pytest.fixture(scope="session")
def breadth() -> Callable[[int, int], int]:
    """How many cases a test of many takes: the first number every day, the second with TINYNAS_NIGHTLY=1."""
    nightly = os.environ.get("TINYNAS_NIGHTLY") == "1"
    return lambda every_day, every_night: every_night if nightly else every_day


# One of each instruction set; the others are as long to build for, and differ in their memories.
BOARDS_OF_EVERY_DAY = {"netduinoplus2", "microbit", "mps3_an547", "sifive_e"}


@pytest.fixture(scope="session")
def board_of_the_day(breadth) -> Callable[[str], str]:
    """The board's name; a test of boards other than those of every day is skipped but at night."""

    def today(name: str) -> str:
        if not breadth(name in BOARDS_OF_EVERY_DAY, True):
            pytest.skip("every night, with TINYNAS_NIGHTLY=1")
        return name

    return today


@pytest.fixture(scope="session")
def tensorflow():
    """TensorFlow as a child process of a study has it. Whatever runs it in the tests' own process takes this first:
    its threads are settled by its first operation, wherever in the order of tests that comes.
    """
    from tinynas.model.process import configure_process

    configure_process()


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium that keeps its console and its network log."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("chromium and chromium-driver are not installed")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,1000"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chromium = webdriver.Chrome(options=options, service=Service(driver))
    yield chromium
    chromium.quit()
