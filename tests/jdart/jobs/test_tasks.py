"""Executors on tasks whose processes are stand-ins: what is told, what survives whose end, and how it looks."""

import io
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from contest.errors import UserError
from jdart.config import Config
from jdart.jobs import processes
from jdart.jobs.devices import parse_devices, threads_for
from jdart.jobs.live import Row, show_tasks, tasks_table
from jdart.jobs.tasks import (
    DONE,
    FAILED,
    RUNNING,
    THERE,
    WAITING,
    Progress,
    Task,
    event_to_json,
    last_words,
    task_from_json,
    warnings_in,
)
from jdart.runs.job import Event

EVENT = event_to_json(Event("train", "00", 3, 10, "loss 0.5"))


@pytest.fixture
def tasks(tmp_path):
    config = Config(output=str(tmp_path / "out"))
    return [Task(name, ("train", "generate"), config) for name in ("00", "01", "02")]


@pytest.fixture
def behave(monkeypatch):
    """Give a task's process a Python program of its own; others tell one event and end well."""
    programs = {}
    popen = subprocess.Popen

    def start(command, **settings):
        style = settings["stderr"].name.rpartition("/")[2][:-4]
        program = programs.get(style, f"print({EVENT!r})")
        return popen([sys.executable, "-c", "import os,sys,time\n" + program], **settings)

    monkeypatch.setattr(processes.subprocess, "Popen", start)
    return programs


def ends(progresses):
    return {p.task: (p.state, p.text) for p in progresses if p.state in (DONE, FAILED)}


def test_a_task_that_fails_crashes_or_is_killed_stops_no_other(tasks, behave):
    behave["00"] = "sys.stderr.write('said before\\nerror: star.png: broken\\n\\n'); sys.exit(2)"
    behave["01"] = "os.kill(os.getpid(), 9)"
    told = ends(processes.run_processes(tasks, ("cpu",)))
    assert told["00"] == (FAILED, "star.png: broken")
    assert told["01"] == (FAILED, "ended by SIGKILL; was the memory full?")
    assert told["02"] == (DONE, "")


def test_a_crash_in_compiled_code_is_followed_by_one_more_try(tasks, behave, tmp_path):
    crash = "import signal; os.kill(os.getpid(), signal.SIGSEGV)"
    mark = str(tmp_path / "been here")
    behave["00"] = f"was = os.path.exists({mark!r}); open({mark!r}, 'w').close()\nif not was: {crash}"
    behave["01"] = crash
    told = list(processes.run_processes(tasks, ("cpu", "cpu")))
    assert ends(told) == {"00": (DONE, ""), "01": (FAILED, "ended by SIGSEGV"), "02": (DONE, "")}
    assert sorted((p.task, p.text) for p in told if p.state == WAITING) == [  # either may end first
        ("00", "ended by SIGSEGV; once more"),
        ("01", "ended by SIGSEGV; once more"),
    ]
    assert [sum(p.task == task.name and p.state == RUNNING and p.event is None for p in told) for task in tasks] == [
        2,
        2,
        1,
    ]


def test_a_process_that_says_nothing_is_not_given_the_words_of_the_one_before(tasks, behave):
    behave["00"] = "sys.stderr.write('old words\\n'); sys.exit(1)"
    assert ends(processes.run_processes(tasks[:1], ("cpu",)))["00"] == (FAILED, "old words")
    behave["00"] = "sys.exit(5)"
    assert ends(processes.run_processes(tasks[:1], ("cpu",)))["00"] == (FAILED, "ended with exit code 5")
    assert "old words" in tasks[0].log.read_text()


def test_events_arrive_and_each_worker_has_its_gpu_and_its_share_of_threads(tasks, behave):
    for task in tasks:
        behave[task.name] = (
            "import json; e=os.environ; print(json.dumps(dict(stage='train', style=None, done=1, total=2,"
            " text=e['CUDA_VISIBLE_DEVICES'] + ' ' + e['OMP_NUM_THREADS'], skipped=False)), flush=True); time.sleep(.3)"
        )
    told = list(processes.run_processes(tasks, ("4", "7")))
    events = [p for p in told if p.event is not None]
    assert [p.event.text for p in events] == [f"{p.device} {threads_for(2)}" for p in events]
    assert {p.device for p in events} == {"4", "7"}
    assert [p.state for p in told].count(DONE) == 3


def test_no_more_work_at_once_than_there_are_devices(tasks, behave):
    busy, most = set(), 0
    for progress in processes.run_processes(tasks, ("cpu", "cpu")):
        (busy.add if progress.state == RUNNING else busy.discard)(progress.task)
        most = max(most, len(busy))
    assert most == 2


def test_closing_the_stream_ends_the_processes_and_what_they_started(tasks, behave, tmp_path):
    behave["00"] = (
        "import subprocess; child=subprocess.Popen(['sleep','60']);"
        f"open({str(tmp_path / 'pid')!r},'w').write(str(child.pid)); print({EVENT!r}, flush=True); time.sleep(60)"
    )
    stream = processes.run_processes(tasks[:1], ("cpu",))
    while next(stream).event is None:
        pass
    begun = time.monotonic()
    stream.close()
    assert time.monotonic() - begun < 5
    child = Path(f"/proc/{(tmp_path / 'pid').read_text()}/stat")
    deadline = time.monotonic() + 5
    while at_work(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not at_work(child)


def at_work(process):
    """Whether a process is there and no zombie."""
    try:
        return process.read_text().split()[2] != "Z"
    except OSError:
        return False


def test_a_task_arrives_in_its_process_as_it_was(tasks):
    config, stages, device = task_from_json(tasks[0].to_json("cuda"))
    assert (config, stages, device) == (tasks[0].config, tasks[0].stages, "cuda")


@pytest.mark.parametrize(
    ("text", "executor", "names"),
    [
        ("0, 2", "processes", ("0", "2")),
        ("cpu,cpu", "processes", ("cpu", "cpu")),
        ("cuda,cuda", "ray", ("cuda", "cuda")),
        ("cuda", "processes", None),
        ("0", "ray", None),
        ("0,cpu", "processes", None),
        ("1,1", "processes", None),
        ("", "processes", None),
        ("0,,1", "processes", None),
    ],
)
def test_devices(text, executor, names):
    if names is None:
        with pytest.raises(UserError, match="--devices"):
            parse_devices(text, executor)
    else:
        assert parse_devices(text, executor) == names


def test_last_words_are_of_the_last_process():
    assert last_words("") == last_words("=== train of 00\nerror: old\n=== train of 00\n\n") == ""
    assert last_words("=== train of 00\nWARNING\nerror: no base\n\n") == "no base"


def stream(*progresses):
    yield from progresses


TOLD = (
    Progress("00", RUNNING, "0"),
    Progress("00", RUNNING, "0", Event("train", "00", 1, 9, "loss [0.5]")),
    Progress("00", RUNNING, "0", Event("train", "00", 2, 9, "loss [0.4]")),
    Progress("00", FAILED, "0", text="style 00: the loss is [nan]"),
    Progress("01", RUNNING, "1"),
    Progress("01", DONE, "1"),
)


def test_without_a_terminal_each_change_is_a_line_and_failures_come_back(tasks):
    out = io.StringIO()
    failed = show_tasks(tasks, ["02"], stream(*TOLD), Console(file=out, width=60))
    assert failed == {"00": "style 00: the loss is [nan]"}
    assert out.getvalue().splitlines() == [
        "02: there already",
        "00: starting on 0",
        "00: training on 0",
        "00: failed on 0: style 00: the loss is [nan]",
        "01: starting on 1",
        "01: done on 1",
    ]


def test_the_table_shows_device_stage_step_loss_time_left_and_state():
    rows = {name: Row() for name in ("00", "01", "02")}
    for progress, now in zip(TOLD[:3], (0.0, 10.0, 12.0)):
        rows["00"].update(progress, now)
    rows["02"].state = THERE
    console = Console(file=io.StringIO(), width=100, record=True)
    console.print(tasks_table(rows, 12.0))
    text = console.export_text()
    line = next(line for line in text.splitlines() if " 00 " in line)
    for cell in ("0", "train", "2/9", "loss [0.4]", "0:14", "training"):
        assert cell in line
    assert "waiting" in text and "there already" in text


def test_what_the_processes_warned_of_is_said_once_for_all_that_did(tasks):
    both, alone = "WARNING  a caption is cut", "WARNING  no such word"
    for task, said in zip(tasks, (f"{both}\n=== again\n{both}\n{both}\n{alone}\nerror: x", both, "WARNING  old")):
        task.log.parent.mkdir(parents=True, exist_ok=True)
        task.log.write_text(f"=== train of {task.name}\n{said}\n")
    out = io.StringIO()
    show_tasks(tasks, ["02"], stream(*TOLD), Console(file=out, width=30))
    assert out.getvalue().splitlines()[-2:] == ["WARNING  00, 01: a caption is cut", "WARNING  00: no such word"]
    assert warnings_in("WARNING  old\n=== new\n") == []


def test_on_a_terminal_the_last_table_stays(tasks):
    out = io.StringIO()
    show_tasks(tasks, ["02"], stream(*TOLD), Console(file=out, width=100, force_terminal=True))
    assert all(word in out.getvalue() for word in ("failed", "done", "there already"))


def test_json_of_an_event_is_one_line():
    assert "\n" not in event_to_json(Event("train", None, 1, 2, "two\nlines"))
    assert json.loads(EVENT)["text"] == "loss 0.5"
