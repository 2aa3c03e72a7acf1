"""A plain `pip install jdart` holds what checking, packing, publishing and looking need, and nothing else."""

import configparser
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
for place in ("submission", "evaluator"):
    sys.path.append(str(ROOT / "tests" / place))
MODULES = {"pillow": "PIL", "pyyaml": "yaml"}  # imported under another name than installed
OF_EXTRAS = (
    *(
        "accelerate",
        "diffusers",
        "huggingface_hub",
        "jittor",
        "lpips",
        "matplotlib",
        "open_clip",
        "optuna",
        "pandas",
        "peft",
    ),
    *("ray", "safetensors", "scipy", "tokenizers", "torch", "torchvision", "transformers"),
)
COMMANDS = {
    "check": "submission check {run} --references {run}/refs",
    "build": "submission build {run} -o {out}/entry.zip",
    "board": "leaderboard build {report} -o {out}/site",
    "compare": "evaluator compare {report} {report}",
    "explain": "evaluator explain {report}",
    "doctor": "jdart doctor",
    "config": "jdart config safe",
    "data": "jdart data safe --set references={run}/refs --set contest=null",
}


def requirements(section, key):
    """Names in a list of setup.cfg."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = (line.strip() for line in config[section][key].splitlines())
    return {re.split(r"[\s<>=!;\[]", line)[0].lower() for line in lines if line and not line.startswith("#")}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A run folder, and a report, as the other commands leave them."""
    from made_reports import make_report
    from tiny_entry import good_files, write_files
    from tiny_run import run_folder

    folder = tmp_path_factory.mktemp("light")
    write_files(folder / "entry", good_files())
    report, _ = make_report([3, 2])
    (folder / "report").mkdir()
    data = report.to_json()
    (folder / "report" / "report.json").write_text(json.dumps({**data, "intervals": {"final": [0.1, 0.2]}}))
    run = run_folder(folder, folder / "entry", contest=None)
    return {"run": run, "report": folder / "report", "out": folder}


def loaded(command, places):
    """The modules that are there when a command has run without anything that an extra installs."""
    package, *words = [word.format(**places) for word in command.split()]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({OF_EXTRAS}))\n"
        f"from {package}.cli import main\n"
        f"try: main({words})\n"
        "except SystemExit as end: code = end.code\n"
        "print(); print(*[n for n, m in sys.modules.items() if m is not None and '.' not in n]); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=places["out"])
    assert done.returncode in (0, 1), done.stderr  # 1: findings
    assert "not installed; run" not in done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_light_commands_need_the_base_install_and_all_of_it(places):
    used = set().union(*(loaded(command, places) for command in COMMANDS.values()))
    base = {MODULES.get(name, name) for name in requirements("options", "install_requires")}
    assert base <= used, f"no light command imports {base - used}: into an extra with it"


def test_what_a_run_alone_imports_is_in_an_extra():
    base = requirements("options", "install_requires")
    assert not base & {name.lower() for name in OF_EXTRAS}
