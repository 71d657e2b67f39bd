"""The supervisor with real child processes that are small Python programs."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from teleop_app.core.bus import Endpoints
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import ConfigError, StationError
from teleop_app.core.paths import DataDir, make_private, shared_memory_dir
from teleop_app.core.types import Event, ProcessState, StationStatus
from teleop_app.station.client import StationClient, wait_for
from teleop_app.station.process import ProcessContext
from teleop_app.station.supervise import ProcessPlan, Supervisor

pytestmark = pytest.mark.system

WORKER = """
import sys
from pathlib import Path
from teleop_app.core.bus import Endpoints
from teleop_app.core.config import StationConfig
from teleop_app.core.paths import DataDir
from teleop_app.station.process import Heartbeat, ProcessContext, leave_last_words, stop_on_signals
data = DataDir(Path(sys.argv[1]))
context = ProcessContext(sys.argv[2], StationConfig(), data, Endpoints(data.run_dir()), data.root)
stop_on_signals(context)
if sys.argv[3] == "misconfigured":
    leave_last_words(data.run_dir(), context.name, "The model file cell.xml is missing.")
    sys.exit(2)
publisher = context.publisher()
heartbeat = Heartbeat(context, publisher)
while not context.stopping:
    heartbeat.beat()
    context.clock.sleep_until(context.clock.now_ns() + 20_000_000)
publisher.close()
"""


def worker(data: DataDir, name: str, manner: str = "well", *, essential: bool = True) -> ProcessPlan:
    argv = [sys.executable, "-c", WORKER, str(data.root), name, manner]
    return ProcessPlan(name, argv, essential=essential, consequence="The robot holds.")


@contextmanager
def supervised(data: DataDir, plans: list[ProcessPlan]) -> Iterator[StationClient]:
    run_dir = make_private(data.run_dir())
    context = ProcessContext("station", StationConfig(), data, Endpoints(run_dir), shared_memory_dir(run_dir))
    supervisor = Supervisor(context, plans, "station.toml")
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        yield StationClient.attach(data, 30.0)
    finally:
        context.stop()
        thread.join(30.0)
        assert not thread.is_alive()
        assert StationClient(data).card() is None


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    return DataDir(tmp_path / "store").create()


def test_a_killed_process_is_told_and_started_again(data: DataDir) -> None:
    with supervised(data, [worker(data, "control")]) as client:
        feed = client.subscribe(["station", "event"], ["station"])

        def running(_: str, value: object) -> bool:
            return isinstance(value, StationStatus) and value.processes[0].state is ProcessState.RUNNING

        _, status = wait_for(feed, running, 20.0, "the first heartbeat")
        os.kill(status.processes[0].pid, signal.SIGKILL)
        _, died = wait_for(
            feed, lambda _, v: isinstance(v, Event) and v.kind == "process.died", 20.0, "the news"
        )
        assert (
            "The control process was killed by SIGKILL. The robot holds. It is being started again"
            in died.text
        )
        _, again = wait_for(feed, running, 20.0, "its return")
        assert again.processes[0].pid != status.processes[0].pid
        feed.close()
        client.close()


def test_a_second_station_on_the_same_store_is_refused(data: DataDir) -> None:
    with supervised(data, [worker(data, "control")]) as client:
        run_dir = data.run_dir()
        context = ProcessContext("station", StationConfig(), data, Endpoints(run_dir), run_dir)
        with pytest.raises(StationError, match=r"in use by station 'Simulated cell' \(process \d+\)"):
            Supervisor(context, [], "station.toml").run()
        assert client.call("station", "status")["faults"] == []
        client.close()


def test_a_process_that_cannot_start_says_why_and_is_not_started_for_ever(data: DataDir) -> None:
    plans = [worker(data, "control"), worker(data, "simulation", "misconfigured", essential=False)]
    with supervised(data, plans) as client:
        feed = client.subscribe(["station"], ["station"])
        _, status = wait_for(feed, lambda _, v: bool(v.faults), 20.0, "the fault")
        assert status.faults == ("The model file cell.xml is missing.",)
        with pytest.raises(StationError, match="no process 'gripper'.*control, simulation"):
            client.call("station", "restart", process="gripper")
        feed.close()
        client.close()


def test_a_suspended_process_rests_until_it_is_restarted(data: DataDir) -> None:
    with supervised(data, [worker(data, "control"), worker(data, "input-lead", essential=False)]) as client:
        feed = client.subscribe(["station"], ["station"])

        def has(state: ProcessState) -> Callable[[str, object], bool]:
            return lambda _, v: isinstance(v, StationStatus) and v.processes[1].state is state

        wait_for(feed, has(ProcessState.RUNNING), 20.0, "its heartbeat")
        client.call("station", "suspend", process="input-lead", timeout_s=15.0)
        _, status = wait_for(feed, has(ProcessState.STOPPED), 20.0, "its end")
        assert status.faults == ()
        assert "can be calibrated" in status.processes[1].text
        client.call("station", "restart", process="input-lead", timeout_s=15.0)
        wait_for(feed, has(ProcessState.RUNNING), 20.0, "its return")
        feed.close()
        client.close()


def test_without_a_station_a_client_says_so(data: DataDir) -> None:
    with pytest.raises(StationError, match="No station runs on"):
        StationClient.attach(data)


def test_config_errors_keep_their_exit_code() -> None:
    assert ConfigError("x").exit_code == 2  # the supervisor relies on it
