"""Styles in processes of their own, on this machine and on Ray: the same files, and a fault stays with its style."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from small_contest import call, write_config, write_contest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def path(monkeypatch):
    """Worker processes find this checkout, wherever they start."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))


def made(folder):
    files = [*folder.glob("lora/*/*.safetensors"), *folder.glob("images/*/*.png")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def said(result, folder):
    """All that a run and its processes said: the only trace of a style that should not have failed."""
    logs = sorted(folder.glob("logs/*.log"))
    return "\n".join([result.output, *(log.name + "\n" + log.read_text(errors="replace") for log in logs)])


@pytest.fixture(scope="module")
def inline(tmp_path_factory, models):
    """What this process makes of the configuration, one style after the other."""
    folder = tmp_path_factory.mktemp("inline")
    path = write_config(folder, models, write_contest(folder / "references"), {})
    assert call("run", path, "--device", "cpu").exit_code == 0
    return made(folder / "out")


def test_a_broken_style_fails_alone_and_is_tried_again_and_all_is_as_in_one_process(
    inline, jdart, config, contest, tmp_path
):
    star = contest / "01" / "images" / "star.png"
    good = star.read_bytes()
    star.write_bytes(b"no picture")
    first = jdart("run", config(), "--devices", "cpu,cpu")
    assert first.exit_code == 1
    assert "01 failed: " in first.output and "star.png: not a readable picture" in first.output
    assert "1 of 2 failed; run the same command again" in first.output, said(first, tmp_path / "out")
    out = tmp_path / "out"
    kept = made(out)
    assert sorted({Path(name).parts[1] for name in kept}) == ["00"]
    assert sorted(json.loads((out / "run.json").read_text())["lora"]) == ["00"]

    star.write_bytes(good)
    times = {path: path.stat().st_mtime_ns for path in out.glob("lora/00/*")}
    second = jdart("run", config(), "--devices", "cpu")
    assert second.exit_code == 0, second.output
    assert "00: there already" in second.output
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert made(out) == inline
    assert (out / "entry.zip").exists() and (out / "report" / "report.json").exists()
    assert sorted(json.loads((out / "run.json").read_text())["lora"]) == ["00", "01"]


def test_the_prior_is_drawn_once_by_a_process_of_its_own(jdart, config, tmp_path):
    prior = {"weight": 1.0, "images_per_prompt": 1, "steps": 2}
    result = jdart("train", config(prior=prior), "--devices", "cpu", "--styles", "00")
    assert result.exit_code == 0, result.output
    assert "prior: done on cpu" in result.output
    assert (tmp_path / "out" / "logs" / "prior.log").exists()


def test_ctrl_c_ends_every_process_with_one_line(config, tmp_path):
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from jdart.cli import main; main()"
    run = subprocess.Popen(
        [sys.executable, "-c", code, "train", config(train={"steps": 100000}), "--devices", "cpu"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    log = tmp_path / "out" / "logs" / "00.log"
    for line in run.stdout:
        if "training" in line:
            break
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130, err
    assert "Traceback" not in err and "stopped" in err
    assert not writers(log)
    assert not list(tmp_path.rglob("*.part"))


def writers(log):
    """Processes whose standard error is `log`."""
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/2"):
        try:
            if os.readlink(link) == str(log):
                found.append(int(link.parts[2]))
        except OSError:
            continue
    return found


def test_a_worker_ends_when_its_parent_is_gone(config, tmp_path):
    from jdart.config import load_config
    from jdart.jobs.processes import start_worker
    from jdart.jobs.tasks import Task

    settings = load_config(config(train={"steps": 100000}), styles=["00"])
    worker = start_worker(Task("00", ("train",), settings), "cpu", {})
    assert worker.stdout.readline()
    worker.stdin.close()
    assert worker.wait(timeout=60) == 143
    worker.stdout.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--devices", "gpu"], ["--devices gpu", "GPU numbers"]),
        (["--devices", "cpu,0"], ["both kinds"]),
        (["--executor", "ray"], ["--devices"]),
        (["--ray-address", "auto"], ["--executor ray"]),
    ],
)
def test_misuse(arguments, words, jdart, config):
    result = jdart("train", config(), *arguments)
    assert result.exit_code == 2
    assert all(word in result.output for word in words)


def test_on_ray_a_killed_worker_is_replaced_and_the_files_are_the_same(inline, jdart, config, tmp_path):
    pytest.importorskip("ray")
    killed = []

    def kill():
        """The Ray worker of style 00, once its process is there."""
        deadline = time.monotonic() + 60
        while not killed and time.monotonic() < deadline:
            for pid in writers(tmp_path / "out" / "logs" / "00.log"):
                parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
                if "ray::" in Path(f"/proc/{parent}/cmdline").read_text():
                    os.kill(parent, signal.SIGKILL)
                    killed.append(parent)
                    return
            time.sleep(0.1)

    killer = threading.Thread(target=kill)
    killer.start()
    result = jdart("run", config(), "--executor", "ray", "--devices", "cpu,cpu")
    killer.join()
    assert result.exit_code == 0, result.output
    assert killed
    assert (tmp_path / "out" / "logs" / "00.log").read_text().count("=== ") >= 2
    assert made(tmp_path / "out") == inline


def test_the_plan_knows_what_is_there_already(jdart, config, tmp_path, measured_once):
    path = config(prior={"weight": 1.0, "images_per_prompt": 1, "steps": 2})
    before = json.loads(jdart("plan", path, "--json", "--device", "cpu").output)
    assert not (tmp_path / "out").exists()
    assert before["seconds"] > 0 and before["memory"] > 50e6
    assert jdart("run", path, "--styles", "00", "--device", "cpu").exit_code == 0
    lora = (tmp_path / "out" / "lora" / "00" / "pytorch_lora_weights.safetensors").stat().st_size
    assert before["lora_bytes"] == pytest.approx(2 * lora, rel=0.01)
    table = jdart("plan", path, "--devices", "cpu,cpu", "--styles", "00,01")
    assert table.exit_code == 0 and "2 workers" in table.output and "training" in table.output


def test_the_plan_counts_what_a_run_will_do(jdart, config, tmp_path, measured_once):
    """Held out pictures, validations, candidates and one LoRA for all styles, against the run itself."""
    settings = {
        "train": {"packed": True, "steps": 4},
        "validation": {"steps": 2, "images": 2, "hold_out": 1, "loss_batches": 1},
        "generate": {"num_images_per_prompt": 2},
        "score": {"weights": None},
    }
    path = config(**settings)
    result = jdart("plan", path, "--json", "--device", "cpu")
    assert result.exit_code == 0, result.output
    plan = json.loads(result.output)
    assert plan["costs"]["look"] > 0
    assert jdart("run", path, "--device", "cpu").exit_code == 0
    out = tmp_path / "out"
    (lora,) = out.glob("lora/*/*pytorch_lora_weights.safetensors")
    assert plan["lora_bytes"] == pytest.approx(lora.stat().st_size, rel=0.01)
    assert plan["archive_bytes"] == pytest.approx((out / "entry.zip").stat().st_size, rel=0.3)
    after = json.loads(jdart("plan", path, "--json", "--device", "cpu").output)
    assert after["seconds"] == after["disk_bytes"] == 0


def test_the_plan_counts_overrides_and_the_style_loss_at_its_share(jdart, config):
    """What differs for one prompt is a batch of its own; the style loss counts for some noise levels only."""

    def plan(**settings):
        result = jdart("plan", config(**settings), "--styles", "00", "--json", "--device", "cpu")
        assert result.exit_code == 0, result.output
        return json.loads(result.output)

    own = {"00": {"prompts": {"Moon": {"strength": 1.0}}}}
    found = plan(generate={"steps": 10, "strength": 0.5, "batch_size": 100}, overrides=own)
    costs = found["costs"]
    assert found["drawing_seconds"] == pytest.approx(2 * costs["batch"] + (10 + 5) * costs["call"])
    every = {"style_loss_max_timestep": 1000}  # at the usual 300 what it adds is as small as a busy machine's noise
    plain, dear = (plan(train={**every, "style_loss_weight": weight})["costs"]["step"] for weight in (0.0, 1.0))
    assert dear > plain


def test_the_plan_measures_methods_that_stand_in_overrides_alone(jdart, config, measured_once):
    """Both prompts cost alike, at different shares of their steps; the other steps are the base's."""

    def late(first, **own):
        return {"colour": {"guidance": {"first": first, **own}}}

    own = {"00": {**late(0.5), "prompts": {"Moon": late(0.75, rate=0.5)}}}
    settings = {"generate": {"sampler": "ddim", "steps": 8, "strength": None, "batch_size": 100}, "overrides": own}
    result = jdart("plan", config(**settings), "--styles", "00", "--json", "--device", "cpu")
    assert result.exit_code == 0, result.output
    found, costs = json.loads(result.output), json.loads(result.output)["costs"]
    ((batch, call),) = costs["ways"]
    assert call > costs["plain_call"] == costs["call"]
    assert found["drawing_seconds"] == pytest.approx(2 * batch + (4 + 2) * call + (4 + 6) * costs["plain_call"])


# Both say when Jittor is there, and go on together: to a kernel that no cache has, since its source is new.
MEETING = """
import sys
from jdart.runtime import start
jt = start("cpu")
print("ready", flush=True)
sys.stdin.readline()
source = "for (int i = 0; i < in0_shape0; i++) @out(i) = @in0(i) * %s;"
print(jt.code([3], "float32", [jt.array([1.0, 2.0, 3.0])], cpu_src=source % sys.argv[1]).numpy().tolist())
"""


@pytest.mark.parametrize("cold", ["kernel", pytest.param("everything", marks=pytest.mark.slow)])
def test_two_processes_on_one_cold_cache(cold, tmp_path):
    """Trap 15: both come to the same cache at the same time, and both get what they need of it."""
    home = {"HOME": str(tmp_path)} if cold == "everything" else {}
    factor = time.time_ns() % 100_003
    both = [
        subprocess.Popen(
            [sys.executable, "-c", MEETING, str(factor)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **home},
            text=True,
        )
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout.readline() == "ready\n", process.communicate()[1][-2000:]
    said = [process.communicate("go\n", timeout=600) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert [out for out, _ in said] == [f"{[float(factor * n) for n in (1, 2, 3)]}\n"] * 2
