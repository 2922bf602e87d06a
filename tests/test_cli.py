"""The command line: what is called for which words, what is said, and the exit codes. The work itself is replaced by a recorder."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import intarsia
from intarsia.cli import COMMANDS, commands, main
from intarsia.cli.parse import flags
from intarsia.core.catalogue import members
from intarsia.core.errors import OptionError, UnreadableFile
from intarsia.engine.options import TRAINED, LrFindOptions, TrainOptions


class Scores:
    def to_dict(self):
        return {"mean_iou": 0.5}

    def __str__(self):
        return "mean_iou  0.5000"


LICENCES = {"code": "Apache-2.0", "weights": "none", "data": "none"}
ROW = {
    "name": "unet",
    "kind": "network",
    "network": "unet",
    "task": "semantic",
    "encoder": None,
    "parameters": 7_000_000,
    "multiply_adds": None,
    "exports": ["torch"],
    "licences": LICENCES,
    "origin": "a paper",
}
REPRODUCED = {
    "run": "runs/x",
    "again": "runs/x-reproduced",
    "data_hash": "ab",
    "versions_that_differ": {"torch": ["2.14.0", "2.15.0"]},
    "scores": {"mean_iou": [0.5, 0.625, 0.125], "loss": [1.0, 1.0, 0.0]},
    "largest_weight_difference": 0.25,
}
RUN = SimpleNamespace(folder=Path("runs/x"), best=Path("runs/x/best"), metrics={"mean_iou": 0.625, "split": "val"})
RESULTS = {
    "demo": RUN,
    "look": [Path("look.png")],
    "train": RUN,
    "resume": RUN,
    "lr_find": SimpleNamespace(steepest=0.0123, valley=0.004),
    "evaluate": Scores(),
    "evaluate_folders": Scores(),
    "compare": Scores(),
    "predict": [Path("a.png"), Path("b.png")],
    "reproduce": REPRODUCED,
    "list_models": [ROW],
}


@pytest.fixture
def calls(monkeypatch):
    """What was called, as (name, positional, keywords); the functions of `intarsia` do nothing else."""
    made = []

    def recorder(name):
        return lambda *args, **kwargs: made.append((name, args, kwargs)) or RESULTS[name]

    for name in RESULTS:
        monkeypatch.setitem(vars(intarsia), name, recorder(name))
    return made


def test_the_table_and_the_functions_agree():
    assert [name.replace("-", "_") for name in sorted(COMMANDS)] == sorted(commands.__all__)
    for name, summary in COMMANDS.items():
        assert getattr(commands, name.replace("-", "_")).__doc__.startswith(summary + "\n")


def test_train_reads_options_in_both_spellings(calls, capsys):
    words = "train camvid --encoder resnet18 weights=timm epochs=3 size=64,96 --scale 0.75 1.5 augment=false lr=1e-2 --seed 4"
    assert main(words.split()) == 0
    ((name, (data, options), keywords),) = calls
    assert (name, data, keywords) == ("train", Path("camvid"), {"quiet": False})
    assert options == TrainOptions(
        encoder="resnet18", weights="timm", epochs=3, size=(64, 96), scale=(0.75, 1.5), augment=False, lr=0.01, seed=4
    )
    assert capsys.readouterr().out == (
        "run folder    runs/x\nbest weights  runs/x/best\nmean IoU      0.6250 on the split val, 0..1\n"
    )


def test_tables_on_the_command_line(calls):
    main(
        [
            "train",
            "d",
            "--loss",
            "cross_entropy=1",
            "dice=0.5",
            "--model-args",
            "widths=[8,16]",
            "norm=batch",
            "deep=true",
            "encoder={a=1}",
        ]
    )
    main(["train", "d", "loss=cross_entropy=1,dice=0.5", "epochs=2"])
    (_, (_, first), _), (_, (_, second), _) = calls
    assert first.loss == second.loss == {"cross_entropy": 1.0, "dice": 0.5}
    assert first.model_args == {"widths": (8, 16), "norm": "batch", "deep": True, "encoder": {"a": 1}}
    assert second.epochs == 2


def test_files_with_an_equals_sign_stay_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gain=2.png").touch()
    assert flags(["m", "gain=2.png", "out=there"]) == ["m", "gain=2.png", "--out", "there"]


def test_config_gives_the_defaults_and_the_command_line_goes_before(calls, tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('encoder = "resnet18"\nepochs = 3\nseed = 5\n[loss]\ndice = 2.0\n')
    assert main(["train", "d", "--config", str(file), "epochs=4", "--weights", "timm"]) == 0
    options = calls[0][1][1]
    assert options == TrainOptions(encoder="resnet18", weights="timm", epochs=4, seed=5, loss={"dice": 2.0})


def test_print_config_trains_nothing_and_can_be_read_back(calls, tmp_path, capsys):
    assert main(["train", "d", "--size", "8", "9", "--print-config"]) == 0
    file = tmp_path / "printed.toml"
    file.write_text(capsys.readouterr().out)
    assert calls == []
    main(["train", "d", f"config={file}"])
    assert calls[0][1][1] == TrainOptions(size=(8, 9))


@pytest.mark.parametrize(
    ("words", "call"),
    [
        ("demo --epochs 2 --out there", ("demo", (Path("there"),), {"epochs": 2, "quiet": False})),
        (
            "look d --split val --count 2 --no-batch --data-args val=0.2",
            (
                "look",
                (Path("d"),),
                {"split": "val", "count": 2, "out": Path("look.png"), "format": None, "data_args": {"val": 0.2}, "batch": False},
            ),
        ),
        ("resume runs/x --quiet", ("resume", (Path("runs/x"),), {"quiet": True})),
        ("lr-find d steps=50", ("lr_find", (Path("d"), LrFindOptions(steps=50)), {"out": Path("lr_find.png")})),
        (
            "evaluate --truth a --prediction b --classes c.txt",
            (
                "evaluate_folders",
                (Path("a"), Path("b")),
                {
                    "classes": Path("c.txt"),
                    "task": "semantic",
                    "split": "test",
                    "format": None,
                    "data_args": {},
                    "measures": {},
                    "out": None,
                },
            ),
        ),
        (
            "predict m a.jpg folder device=cpu --out there --flip",
            (
                "predict",
                (Path("m"), [Path("a.jpg"), Path("folder")]),
                {
                    "out": Path("there"),
                    "task": None,
                    "decode_args": {},
                    "min_score": None,
                    "spacing": None,
                    "flip": True,
                    "device": "cpu",
                    "precision": "auto",
                },
            ),
        ),
        ("reproduce runs/x", ("reproduce", (Path("runs/x"),), {"out": None, "quiet": False})),
        (
            "models --encoder resnet18 --license commercial",
            ("list_models", ("resnet18",), {"measure": False, "device": "auto", "license": "commercial"}),
        ),
    ],
)
def test_each_command_calls_its_function(words, call, calls):
    assert main(words.split()) == 0
    assert calls == [call]


def test_evaluate_a_model(calls, capsys):
    assert main(["evaluate", "m", "d", "--split", "val", "--batch-size", "2"]) == 0
    ((name, args, keywords),) = calls
    assert (name, args, keywords["split"], keywords["batch_size"]) == ("evaluate", (Path("m"), Path("d")), "val", 2)
    assert capsys.readouterr().out == "mean_iou  0.5000\n"


def test_the_task_goes_on_to_files_and_to_both_of_two_networks(calls):
    for words in (
        "evaluate --truth a --prediction b --task panoptic --split val --data-args val=0.5",
        "compare m n d --task semantic --decode-args score=0.3",
    ):
        assert main(words.split()) == 0
    (files, _, first), (networks, _, second) = calls
    assert (files, first["task"], first["split"], first["data_args"]) == ("evaluate_folders", "panoptic", "val", {"val": 0.5})
    assert (networks, second["task"], second["decode_args"]) == ("compare", "semantic", {"score": 0.3})


@pytest.mark.parametrize(
    "words", ["evaluate", "evaluate --truth a", "evaluate m --truth a --prediction b", "evaluate m d --truth a --prediction b"]
)
def test_evaluate_wants_one_of_its_two_forms(words, calls, capsys):
    assert main(words.split()) == 1
    assert calls == []
    assert capsys.readouterr().err == (
        "intarsia: evaluate: expected either MODEL, or MODEL DATA, or --truth FOLDER --prediction FOLDER\n"
    )


@pytest.mark.parametrize(
    ("words", "result"),
    [
        ("evaluate m d --json", {"mean_iou": 0.5}),
        ("reproduce r --json", REPRODUCED),
        ("models --json", [ROW]),
    ],
)
def test_json_for_machines(words, result, calls, capsys):
    assert main(words.split()) == 0
    assert json.loads(capsys.readouterr().out) == result


def test_lists_and_tables_as_lines(calls, capsys):
    for words in ("predict m x", "reproduce r", "lr-find d"):
        main(words.split())
    assert capsys.readouterr().out == (
        "a.png\nb.png\n"
        "run       runs/x\nagain     runs/x-reproduced\nversions  torch 2.14.0 -> 2.15.0\n\n"
        "score     before   again    difference\nmean_iou  0.5000   0.6250   +0.12\nloss      1.0000   1.0000   +0\n\n"
        "not identical: weights differ by up to 0.25\n"
        "steepest  0.012\nvalley    0.004  (a safe --lr)\ncurve     lr_find.png\n"
    )


def failing(error):
    def fail(*args, **kwargs):
        raise error

    return fail


def test_an_error_is_one_line_and_exit_1(monkeypatch, capsys):
    error = UnreadableFile("a.jpg", expected="an image", received="a truncated file", hint="Copy it again.")
    monkeypatch.setitem(vars(intarsia), "train", failing(error))
    assert main(["train", "d"]) == 1
    assert capsys.readouterr().err == "intarsia: a.jpg: expected an image, received a truncated file. Copy it again.\n"


def test_the_traceback_on_request(monkeypatch):
    monkeypatch.setitem(vars(intarsia), "train", failing(OptionError("wrong")))
    monkeypatch.setenv("INTARSIA_TRACEBACK", "1")
    with pytest.raises(OptionError):
        main(["train", "d"])


def test_a_defect_keeps_its_traceback(monkeypatch):
    monkeypatch.setitem(vars(intarsia), "train", failing(ValueError("a defect, not wrong usage")))
    with pytest.raises(ValueError, match="a defect"):
        main(["train", "d"])


def test_interrupted_is_exit_130(monkeypatch, capsys):
    monkeypatch.setitem(vars(intarsia), "train", failing(KeyboardInterrupt()))
    assert main(["train", "d"]) == 130
    assert capsys.readouterr().err == "intarsia: interrupted\n"
    monkeypatch.setitem(vars(intarsia), "train", failing(KeyboardInterrupt("`intarsia resume r` goes on")))
    assert main(["train", "d"]) == 130
    assert capsys.readouterr().err == "intarsia: interrupted; `intarsia resume r` goes on\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("trian d", "unknown command 'trian'. Did you mean 'train'?"),
        ("train d --epoch 3", "--epochs"),
        ("train d epoch=3", "--epochs"),
        ("train d --epochs many", "many"),
        ("train d --epochs 0", "--epochs: expected a whole number of at least 1"),
        ("train d --loss dice", "expected name=value, received 'dice'"),
        ("train d --optimizer lion", "adamw"),
        ("train", "DATA"),
        ("predict m", "IMAGE"),
    ],
)
def test_wrong_usage_is_exit_2_and_says_what_is_near(words, said, calls, capsys):
    assert main(words.split()) == 2
    assert said in capsys.readouterr().err
    assert calls == []


def test_a_wrong_config_is_told_in_one_line(calls, tmp_path, capsys):
    (tmp_path / "run.toml").write_text("epoch = 3\n")
    assert main(["train", "d", "--config", str(tmp_path / "run.toml")]) == 1
    assert capsys.readouterr().err.endswith("run.toml. Did you mean 'epochs'?\n")


def test_version_and_help(capsys):
    assert main(["--version"]) == 0
    assert main([]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"intarsia {intarsia.__version__}\nusage: intarsia COMMAND")
    assert all(f"  {name} " in out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_defaults(name, capsys):
    assert main([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: intarsia {name} ")
    assert COMMANDS[name].split(":")[0] in " ".join(out.split())


@pytest.mark.parametrize("name", ["evaluate", "compare"])
def test_the_help_names_every_measure_that_is_no_task(name, capsys):
    assert main([name, "--help"]) == 0
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for measure in {*members("metrics")} - {*TRAINED}:
        assert f" {measure}," in told


@pytest.mark.parametrize("name", ["evaluate", "predict"])
def test_the_help_says_which_networks_are_flipped(name, capsys):
    assert main([name, "--help"]) == 0
    assert "of networks that score each pixel" in " ".join(capsys.readouterr().out.replace("│", " ").split())


LOADED = "import sys; from intarsia.cli import main; main(sys.argv[1:]); print(*sorted(sys.modules), file=sys.stderr)"


def loaded(*words):
    done = subprocess.run([sys.executable, "-c", LOADED, *words], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_help_loads_nothing_heavy():
    assert loaded("--help").isdisjoint({"numpy", "torch", "tyro", "rich", "cv2", "intarsia.core"})
    assert loaded("train", "--help").isdisjoint({"torch", "cv2", "scipy", "matplotlib"})


CALLED = "import sys; from intarsia.cli import main; sys.exit(main(sys.argv[1:]))"


def seconds(*words):
    """Processor time, since the machine may be busy with other tests; nothing here waits for anything else."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", CALLED, *words], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_is_there_at_once():
    assert seconds("--help") < 0.3
    assert seconds("train", "--help") < 1.0


def test_a_reader_that_stops_early_is_no_error():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-u", "-c", CALLED, "train", "--help"], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert "Traceback" not in done.stderr
