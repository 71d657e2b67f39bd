"""What the contract suites share: waiting, timing, sentences, and checks of a driver's own description."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NoReturn, TypeVar

import pytest
from pydantic import ValidationError

from devices.driver import DeviceContext, Driver, DriverKind, Options
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.clock import MonotonicClock
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import ConfigError, DeviceError

Result = TypeVar("Result")
PATIENCE_S = 10.0
"""How long a suite waits for something that must happen."""


def fail(sentence: str) -> NoReturn:
    """The contract is broken.

    Raises:
        AssertionError: Always.
    """
    raise AssertionError(sentence)


def require(condition: object, sentence: str) -> None:
    """The contract is broken unless the condition holds."""
    if not condition:
        fail(sentence)


def eventually(ask: Callable[[], Result | None], sentence: str, every_s: float = 0.005) -> Result:
    """What `ask` gives once it is not None; the contract is broken if it never does."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = ask()
        if found is not None:
            return found
        time.sleep(every_s)
    fail(sentence)


def usual_time_s(action: Callable[[], object], times: int = 9) -> float:
    """Median duration of a call [s]; a busy machine delays some calls, what blocks delays all."""
    spent: list[float] = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        spent.append(time.perf_counter() - start)
    return median(spent)


@contextmanager
def refused(what: str) -> Iterator[None]:
    """What is done inside must end with a `DeviceError` that is a sentence."""
    try:
        yield
    except DeviceError as error:
        check_sentence(error)
    except ValueError as error:
        fail(f"{what} must raise a DeviceError, a sentence for people, not {type(error).__name__}: {error}")
    else:
        fail(f"{what} must raise a DeviceError")


def check_sentence(error: DeviceError) -> None:
    """An error must say what failed, in a sentence that a person understands."""
    require(len(error.what.split()) >= 3, f"an error must say what failed in a sentence, not {error.what!r}")
    require("Traceback" not in error.sentence, "an error must be a sentence, not a traceback")
    require("\n" not in error.sentence, f"an error must be one line, not {error.sentence!r}")


class DriverContract:
    """What every kind has in common. Subclass one of the suites, not this.

    Attributes:
        driver: Its description, the object of the entry point; checked where it is given.
        options: Settings that `make` uses by default.
        arms: Arms of the station that the device is made for.
        config: The station file that it is made for.
        kind: Set by the suite.
    """

    driver: Driver | None = None
    options: dict[str, Any] = {}  # noqa: RUF012
    arms: tuple[str, ...] = ("left", "right")
    config = StationConfig()
    kind: DriverKind

    def setup_method(self) -> None:
        """Before each check; extend it to set the stage (start an emulator)."""

    def teardown_method(self) -> None:
        """After each check; extend it to clear up."""

    def make(self) -> Any:
        """The device under test, not yet opened. By default made by `driver`, from `options`."""
        if self.driver is None:
            msg = "say how the device is made: set `driver` and `options`, or override `make`"
            raise NotImplementedError(msg)
        return self.driver.make(self.context(), self.driver.options.model_validate(self.options))

    def context(self) -> DeviceContext:
        """What the device is made with."""
        store = CalibrationStore(Path("no-calibrations"))
        return DeviceContext("contract", self.arms, self.config, store, MonotonicClock())

    def unplug(self) -> None:
        """Take the device away. Without it the checks on unplugging are skipped."""
        pytest.skip("this suite does not say how the device is unplugged")

    def plug(self) -> None:
        """Give it back."""
        pytest.skip("this suite does not say how the device is plugged in again")

    # The driver's description.

    def test_the_driver_describes_itself(self) -> None:
        """Kind, name, title and what proves it."""
        driver = self._driver()
        require(
            driver.kind is self.kind, f"the driver's kind is {driver.kind}, this is a suite for {self.kind}"
        )
        require(driver.title and driver.proof, "title and proof must be filled in")
        require(issubclass(driver.options, Options), "the settings must be a devices.driver.Options")

    def test_unknown_options_are_refused(self) -> None:
        """A misspelt setting must not pass in silence."""
        driver = self._driver()
        self._refuses(driver, {**self.options, "no_such_option": 1}, "a setting that does not exist")

    def test_options_that_are_not_finite_are_refused(self) -> None:
        """Numbers that are not finite must never reach a device."""
        driver = self._driver()
        for name, setting in driver.options.model_fields.items():
            if setting.annotation is float:
                for value in (float("nan"), float("inf")):
                    self._refuses(driver, {**self.options, name: value}, f"{name} = {value}")

    def test_discovery_offers_options_that_exist(self) -> None:
        """What is found must be usable in a station file."""
        driver = self._driver()
        for found in driver.discover():
            require(found.title, "a device that is found must have a title")
            unknown = set(found.options) - set(driver.options.model_fields)
            require(not unknown, f"discovery offers settings that do not exist: {sorted(unknown)}")

    def _driver(self) -> Driver:
        if self.driver is None:
            pytest.skip("this suite does not name its driver")
        return self.driver

    def _refuses(self, driver: Driver, options: dict[str, Any], what: str) -> None:
        try:
            driver.options.model_validate(options)
        except (ValidationError, ConfigError):
            return
        fail(f"the settings must refuse {what}")


def run_contract(suite: DriverContract, checks: Sequence[str] = ()) -> dict[str, str]:
    """Run a suite, or some of its checks, without pytest: what is broken, by the name of the check.

    Checks that are skipped are left out.
    """
    broken: dict[str, str] = {}
    for name in checks or [name for name in sorted(dir(suite)) if name.startswith("test_")]:
        suite.setup_method()
        try:
            getattr(suite, name)()
        except pytest.skip.Exception:
            pass
        except Exception as error:
            broken[name] = f"{type(error).__name__}: {error}"
        finally:
            suite.teardown_method()
    return broken
