"""Measures counted in one pass, evaluations that are kept, and two of them compared image by image."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

import intarsia
from intarsia.cli import main
from intarsia.core import ClassSet, Pixels, Sample, Segments
from intarsia.core.catalogue import find
from intarsia.core.errors import DataError, InvalidNoun, OptionError
from intarsia.data.dataset import Dataset
from intarsia.data.images import write_labels
from intarsia.engine.compare import compare_measures, compare_saved
from intarsia.engine.demo import write_scenes
from intarsia.engine.evaluate import evaluate_network, evaluate_predictor
from intarsia.engine.measures import Measures, asked_for
from intarsia.engine.network import Model
from intarsia.engine.recipe import Recipe
from intarsia.engine.saved import read_counts, write_scores
from intarsia.metrics._counted import Counted
from intarsia.metrics._scores import Scores
from intarsia.metrics.semantic import Semantic
from plain_network import Plain

CLASSES = ClassSet(("sky", "road", "car"))
RATES = {"a": 1e-3, "b": 1e-2}
NAMES = ("boundary", "surface", "calibration")


def labels_of(seed, error):
    """Truth of blocks, and an answer of which a share `error` of the blocks is wrong."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, (6, 8))
    wrong = rng.random((6, 8)) < error
    return [np.kron(labels, np.ones((4, 4), int)) for labels in (truth, np.where(wrong, (truth + 1) % 3, truth))]


def counted(error, count=20, measures=(), classes=CLASSES, first=0):
    result = Measures(classes, "semantic", asked_for(measures))
    table = CLASSES.table_to(classes)
    for number in range(first, first + count):
        truth, guess = (Segments.from_semantic(labels, 3) for labels in labels_of(number, error))
        result.update(truth.with_classes(table[truth.classes]), guess.with_classes(table[guess.classes]), f"{number:02d}")
    return result


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Label files of a truth and of two answers, the second with fewer errors."""
    root = tmp_path_factory.mktemp("labels")
    (root / "classes.txt").write_text("sky\nroad\ncar\n")
    for name, error in (("truth", 0.0), ("worse", 0.3), ("better", 0.1)):
        (root / name).mkdir()
        for number in range(12):
            write_labels(root / name / f"{number:02d}.png", labels_of(number, error)[error > 0].astype(np.uint8))
    return root


# -- one pass ------------------------------------------------------------------------------------------------------------------


def test_measures_counted_together_are_those_counted_alone():
    together = counted(0.2, measures=NAMES).compute(intervals=50)
    for name in NAMES:
        alone = counted(0.2, measures=[name]).compute(intervals=50)
        assert together.measures[name].to_dict() == alone.measures[name].to_dict()
        assert together.to_dict()[name] == alone.to_dict()[name]
    assert together.mean_iou == counted(0.2).compute(intervals=0).mean_iou
    assert list(together.measures) == list(NAMES)


def test_shards_of_measures_merge_to_the_whole():
    first, second = counted(0.2, 8, NAMES), counted(0.2, 12, NAMES, first=8)
    first.merge(second)
    assert first.compute(intervals=20).to_dict() == counted(0.2, 20, NAMES).compute(intervals=20).to_dict()


def test_scores_by_image_are_those_of_the_image_alone():
    rows = counted(0.2, 5, ["boundary"]).by_image()
    for number in range(5):
        alone = counted(0.2, 1, ["boundary"], first=number).compute(intervals=0)
        assert rows[f"{number:02d}"] == pytest.approx(
            {"mean_iou": alone.mean_iou} | {name: alone.measures["boundary"][name] for name in rows["00"] if name != "mean_iou"}
        )


def test_options_of_measures():
    assert asked_for({"surface": {"spacing": 2}}, {"surface.tolerance": 1}) == {"surface": {"spacing": 2, "tolerance": 1}}
    with pytest.raises(
        OptionError, match=r"--measure-args tolerance: expected MEASURE.OPTION=VALUE, with a MEASURE of \['surface'\]"
    ):
        asked_for(["surface"], {"tolerance": 1})
    with pytest.raises(OptionError, match=r"received 'surfac'. Did you mean 'surface'\?"):
        asked_for(["surface"], {"surfac.tolerance": 1})
    with pytest.raises(OptionError, match=r"metrics 'boundry': expected one of the catalogue. Did you mean 'boundary'\?"):
        asked_for(["boundry"], {"x": 1})
    with pytest.raises(OptionError, match=r"measure 'surface': expected one of its options \['spacing', 'tolerance'\].* 'spacing'"):
        Measures(CLASSES, "semantic", {"surface": {"spacin": 1}})
    with pytest.raises(OptionError, match=r"metrics 'boundry': .*boundary"):
        Measures(CLASSES, "semantic", {"boundry": {}})


@pytest.mark.parametrize("wrong", ["boundary.width=big", "surface.tolerance=[1,2]", "surface.spacing=abc", "calibration.bins=2.5"])
def test_a_wrong_value_is_told_in_a_line(folders, capsys, wrong):
    words = ["evaluate", "--truth", str(folders / "truth"), "--prediction", str(folders / "worse")]
    measure = wrong.partition(".")[0]
    assert main([*words, "--measures", measure, "--measure-args", wrong]) == 1
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    if measure != "calibration":  # label files have no confidence, which is told first
        assert "expected" in told
        assert f"received {wrong.partition('=')[2].replace(',', ', ')}" in told


def test_a_measure_that_does_not_check_its_options_itself():
    with pytest.raises(OptionError, match=r"measure 'test_compare:Careless': expected values it can take for \['size'\], received"):
        Measures(CLASSES, "semantic", {"test_compare:Careless": {"size": "big"}})


class Careless:
    def __init__(self, classes, size=1):
        self.size = size + 1


def test_a_network_is_asked_for_its_confidence_where_a_measure_reads_it():
    samples = [
        Sample(np.full((24, 32, 3), 9 * n, np.uint8), Segments.from_semantic(labels_of(n, 0)[0], 3), str(n)) for n in range(3)
    ]
    data = Dataset.from_samples(samples, CLASSES)
    recipe = Recipe("plain_network:Plain", CLASSES, Pixels(), 3, (24, 32))
    model = Model(Plain(3, pixels=Pixels()), recipe, device="cpu", precision="fp32")
    scores = evaluate_network(model.network, data, recipe, measures={"calibration": {}}).compute(intervals=0)
    bins = scores.measures["calibration"].bins
    assert bins[:, 0].sum() == 3 * 24 * 32
    assert bins[-1, 0] < 3 * 24 * 32  # not all certain
    alone = evaluate_predictor(lambda image: model(image, confidence=True), data, CLASSES, "semantic", measures={"calibration": {}})
    np.testing.assert_allclose(alone.compute(intervals=0).measures["calibration"].bins, bins)


# -- kept ----------------------------------------------------------------------------------------------------------------------


def test_what_an_evaluation_of_folders_leaves(folders, tmp_path, capsys):
    words = ["evaluate", "--truth", str(folders / "truth"), "--prediction", str(folders / "worse"), "--out", str(tmp_path)]
    assert main([*words, "--measures", "boundary", "surface", "--measure-args", "surface.tolerance=1"]) == 0
    printed = capsys.readouterr().out
    kept = json.loads((tmp_path / "scores.json").read_text())
    assert json.dumps(kept["surface"]["images"]) == '{"sky": 12, "road": 12, "car": 12}'  # whole numbers
    assert kept["surface"]["options"] == {"spacing": None, "tolerance": 1.0}
    assert f"mean_boundary_iou  {kept['boundary']['mean_boundary_iou']:.4f} [" in printed
    rows = list(csv.DictReader((tmp_path / "images.csv").open()))
    assert list(rows[0])[:4] == ["key", "mean_iou", "mean_boundary_iou", "mean_boundary_f1"]
    assert [float(row["mean_iou"]) for row in rows] == sorted(float(row["mean_iou"]) for row in rows)
    assert (tmp_path / "confusion_matrix.png").exists()
    again, facts = read_counts(tmp_path)
    assert facts == {"images": 12}
    assert again.compute().to_dict() == kept


def test_label_files_hold_no_confidence(folders):
    with pytest.raises(OptionError, match="--measures calibration: expected a network, received label files"):
        intarsia.evaluate_folders(folders / "truth", folders / "worse", measures=["calibration"])


def test_the_reliability_diagram_is_drawn(tmp_path):
    measures = counted(0.2, 4, ["calibration"])
    write_scores(measures, measures.compute(), tmp_path, {})
    assert (tmp_path / "reliability.png").stat().st_size > 1000
    assert json.loads((tmp_path / "scores.json").read_text())["calibration"]["bins"][-1]["pixels"] == 4 * 24 * 32


class Mean(Counted):
    """A toy whose scores are no sums: the median area of the predicted segments, and the share of the first of the largest."""

    perfect: ClassVar = {"median_area": 1.0}
    headline: ClassVar = "median_area"
    ragged: ClassVar = True

    def __init__(self, classes, *, keys=(), counts=None):
        super().__init__(classes, (2,), np.float32, keys, counts, {})

    def update(self, truth, prediction, key=""):
        self._add(key, np.stack([prediction.areas, prediction.classes], axis=1)[prediction.areas > 9].astype(np.float32))

    def weighted(self, counts, weights):
        drawn = [
            np.concatenate([np.repeat(count, int(n), axis=0) for count, n in zip(counts, row, strict=True)]) for row in weights
        ]
        areas = [rows[:, 0] if len(rows) else np.array([np.nan]) for rows in drawn]
        return {"median_area": np.array([np.median(some) for some in areas]), "first_area": np.array([some[0] for some in areas])}

    def compute(self, intervals=1000, seed=0):
        counts, values, ends = self.computed(intervals, seed)
        return Scores("toy", self.classes.names, len(counts), values, ends)


def test_a_measure_of_rows_is_kept_and_compared(tmp_path):
    toy = "test_compare:Mean"
    a, b = counted(0.3, measures=[toy]), counted(0.1, measures=[toy])
    b.update(*[Segments.from_semantic(np.full((24, 32), -1), 3)] * 2, "20")  # an image without a row
    a.update(*[Segments.from_semantic(np.full((24, 32), -1), 3)] * 2, "20")
    lengths = {len(count) for count in a.metrics[toy].counts}
    assert len(lengths) > 1
    for name, measures in (("a", a), ("b", b)):
        (tmp_path / name).mkdir()
        write_scores(measures, measures.compute(intervals=20), tmp_path / name, {})
    kept = read_counts(tmp_path / "a")[0]
    for key, rows in a.metrics[toy].images().items():
        np.testing.assert_array_equal(kept.metrics[toy].images()[key], rows)
        assert kept.metrics[toy].images()[key].dtype == np.float32
    assert kept.compute(20).to_dict() == a.compute(20).to_dict()
    saved, direct = compare_saved(tmp_path / "a", tmp_path / "b"), compare_measures(a, b)
    assert saved.scores[toy] == direct.scores[toy]
    for name, one in direct.scores[toy].items():  # in the order of the images too
        assert (one.a, one.b) == (a.compute(0).measures[toy][name], b.compute(0).measures[toy][name])
        assert one.low <= one.value <= one.high
    rows = a.by_image()
    assert rows["03"]["median_area"] == np.median(a.metrics[toy].images()["03"][:, 0])
    assert np.isnan(rows["20"]["median_area"])


def test_a_measure_of_rows_joins_the_tiles_of_an_image():
    toy = find("metrics", "test_compare:Mean")
    tiles = [Segments.from_semantic(labels_of(number, 0)[0], 3) for number in range(3)]
    metric, other = toy(CLASSES), toy(CLASSES)
    for tile in tiles:
        metric.update(tile, tile, "one")
    for tile in reversed(tiles):
        other.update(tile, tile, "one")
    assert sum(map(len, metric.counts)) == len(metric.images()["one"]) == 9
    np.testing.assert_array_equal(metric.images()["one"], other.images()["one"])
    with pytest.raises(InvalidNoun, match=r"Mean counts: expected 1 of shape \(2,\) by row, received 1 of \(4, 3\)"):
        toy(CLASSES, keys=["a"], counts=[np.zeros((4, 3))])


OBJECTS = ClassSet(("sky", "road", "car"), things=("car",))


def objects_of(task, error, **asked):
    result = Measures(OBJECTS, task, asked)
    for number in range(8):
        truth, guess = (Segments.from_semantic(labels, 3) for labels in labels_of(number, error * number / 4))
        result.update(truth, guess, f"{number:02d}")
    return result


@pytest.mark.parametrize(("task", "headline"), [("panoptic", "pq"), ("boundary_panoptic", "boundary_pq"), ("counting", "mae")])
def test_another_task_is_kept_and_compared_by_its_headline(task, headline, tmp_path):
    made = {name: objects_of(task, error, semantic={}) for name, error in (("a", 0.3), ("b", 0.05))}
    if task == "counting":  # every image has its one car, but for one
        for measures, several in zip(made.values(), ([1, 2, 2], [1, 1, 2]), strict=True):
            for number, ids in enumerate(several):
                truth = Segments([[[1, 0]]], [2])
                measures.update(truth, Segments([[[1, ids - 1 and ids]]], [2] * ids), f"1{number}")
    for name, measures in made.items():
        (tmp_path / name).mkdir()
        scores = measures.compute(intervals=50)
        rows = write_scores(measures, scores, tmp_path / name, {"split": "test"})
        assert measures.headline == headline
        values = [row[headline] for row in rows.values()]
        assert values == sorted(values, reverse=task == "counting")
        assert list(rows["00"])[:3] == [headline, "pixel_accuracy", "mean_pixel_accuracy"]
        kept, facts = read_counts(tmp_path / name)
        assert (kept.compute(50).to_dict(), facts) == (scores.to_dict(), {"split": "test"})
        assert scores.measures["semantic"].mean_iou == measures.metrics["semantic"].compute(0).mean_iou
        assert not (tmp_path / name / "confusion_matrix.png").exists()
    found = compare_saved(tmp_path / "a", tmp_path / "b")
    assert next(iter(found.scores[task])) == headline
    one = found.scores[task][headline]
    assert one.a == made["a"].compute(0)[headline]
    title = {"pq": "PQ", "boundary_pq": "boundary PQ", "mae": "MAE"}[headline]
    assert f": {title} {one.value:+.4f} [" in found.verdicts[0]
    assert (one.value < 0) if task == "counting" else (found.verdicts[0].startswith("B is better"))


def test_the_options_of_the_task_are_kept_too(tmp_path):
    measures = objects_of("counting", 0.1, counting={"threshold": 0.25})
    write_scores(measures, measures.compute(intervals=0), tmp_path, {})
    assert read_counts(tmp_path)[0].metrics["counting"].options == {"threshold": 0.25}


# -- compared ------------------------------------------------------------------------------------------------------------------


def test_the_difference_is_that_of_the_scores_and_its_interval_that_of_a_loop():
    a, b = counted(0.3), counted(0.1)
    found = compare_measures(a, b, rounds=200, seed=4)
    one = found.scores["semantic"]["mean_iou"]
    assert (one.a, one.b) == (a.compute(0).mean_iou, b.compute(0).mean_iou)
    weights = np.random.default_rng(4).multinomial(20, np.full(20, 1 / 20), size=200)
    drawn = []
    for weight in weights:
        both = [
            Semantic(CLASSES, keys=["x"], counts=np.tensordot(weight, m.metrics["semantic"].counts, 1)[None]).compute(0)
            for m in (a, b)
        ]
        drawn.append([both[1].mean_iou - both[0].mean_iou, *(both[1].iou - both[0].iou)])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    assert (one.low, one.high) == pytest.approx((low[0], high[0]))
    of_classes = found.by_class["semantic"]["iou"]
    np.testing.assert_allclose([(row.low, row.high) for row in of_classes], np.stack([low[1:], high[1:]], axis=1))
    assert one.winner == "B"
    assert found.verdicts == [f"B is better: mean IoU {one.value:+.4f} [{one.low:.4f}, {one.high:.4f}]"]


def test_pairs_tell_apart_what_two_intervals_cannot():
    """Images differ far more than the two answers do: both intervals overlap, that of the difference excludes 0."""
    a, b = Measures(CLASSES), Measures(CLASSES)
    rng = np.random.default_rng(0)
    for number in range(30):
        truth = rng.integers(0, 3, (20, 20))
        wrong = rng.random((20, 20)) < rng.random()
        guess = np.where(wrong, (truth + 1) % 3, truth)
        better = guess.copy()
        better[:, 0] = truth[:, 0]
        for measures, labels in ((a, guess), (b, better)):
            measures.update(Segments.from_semantic(truth, 3), Segments.from_semantic(labels, 3), str(number))
    assert a.compute().intervals["mean_iou"][1] > b.compute().intervals["mean_iou"][0]
    assert compare_measures(a, b).scores["semantic"]["mean_iou"].winner == "B"


def test_where_less_is_better_and_where_neither_is():
    found = compare_measures(counted(0.3, measures=NAMES), counted(0.1, measures=NAMES))
    distance = found.scores["surface"]["mean_hd95"]
    assert distance.value < 0
    assert distance.winner == "B"
    assert found.scores["calibration"]["expected_calibration_error"].winner == "B"
    assert found.scores["calibration"]["overconfidence"].winner == ""
    assert [line[:11] for line in found.verdicts] == ["B is better"] * 4
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["surface"]["hd95"]["car"]["difference"] < 0


def test_the_same_against_itself_shows_nothing():
    found = compare_measures(counted(0.3), counted(0.3))
    assert found.verdicts == ["no difference is shown: mean IoU +0.0000 [0.0000, 0.0000]"]


def test_one_image_is_no_test():
    found = compare_measures(counted(0.3, 1), counted(0.1, 1))
    one = found.scores["semantic"]["mean_iou"]
    assert found.verdicts == [f"one image: no interval of mean IoU {one.value:+.4f}"]
    assert str(found).splitlines()[2] == "1 image, the same for both: no interval"
    assert "nan" not in str(found)


def test_a_score_that_is_not_defined_is_no_difference():
    a, b = Measures(CLASSES, "semantic", {"boundary": {}}), Measures(CLASSES, "semantic", {"boundary": {}})
    void = Segments.from_semantic(np.full((8, 8), -1), 3)
    for measures in (a, b):
        for number in range(3):
            measures.update(void, Segments.from_semantic(np.zeros((8, 8), int), 3), str(number))
    assert compare_measures(a, b).verdicts == ["not defined: mean IoU", "not defined: mean boundary IoU"]


def test_the_order_of_images_does_not_matter():
    turned = counted(0.3, 10, first=10)
    turned.merge(counted(0.3, 10))
    assert compare_measures(turned, counted(0.1)).to_dict() == compare_measures(counted(0.3), counted(0.1)).to_dict()


def test_classes_are_matched_by_name():
    turned = ClassSet(("car", "sky", "road"))
    plain = compare_measures(counted(0.3, measures=NAMES), counted(0.1, measures=NAMES))
    other = compare_measures(counted(0.3, measures=NAMES), counted(0.1, measures=NAMES, classes=turned))
    assert plain.to_dict() == other.to_dict()


def test_what_cannot_be_compared():
    a = counted(0.3)
    with pytest.raises(DataError, match=r"the same images in both, received 1 only in B, such as '20'"):
        compare_measures(a, counted(0.3, 21))
    with pytest.raises(
        DataError, match=r"the same classes in both, received only in A \['car', 'road', 'sky'\], only in B \['x'\]"
    ):
        compare_measures(a, Measures(ClassSet(("x",))))
    changed = counted(0.3)
    changed.metrics["semantic"]._counts[3] = changed.metrics["semantic"]._counts[3] + 1
    with pytest.raises(DataError, match=r"the same truth in both, received 1 images whose truth differs, such as '03'"):
        compare_measures(a, changed)
    with pytest.raises(OptionError, match="measure 'surface': expected the same options in both"):
        compare_measures(counted(0.3, measures=["surface"]), counted(0.3, measures={"surface": {"tolerance": 9}}))
    with pytest.raises(DataError, match="the same groups of classes"):
        compare_measures(a, Measures(replace(CLASSES, groups=(("sky", "road"), ("car",)))))


def test_two_saved_evaluations_on_the_command_line_without_torch(folders, tmp_path):
    for name in ("worse", "better"):
        intarsia.evaluate_folders(folders / "truth", folders / name, measures=["boundary"], out=tmp_path / name)
    code = (
        "import sys; from intarsia.cli import main; "
        f"code = main(['compare', {str(tmp_path / 'worse')!r}, {str(tmp_path / 'better')!r}]); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        f"A  {tmp_path / 'worse'}",
        f"B  {tmp_path / 'better'}",
        "12 images, the same for both; in brackets the 95 % interval of B - A",
    ]
    assert lines[-2].startswith("B is better: mean IoU +")
    assert lines[-1].startswith("B is better: mean boundary IoU +")


def test_the_help_says_what_may_be_left_out(capsys):
    for verb, usage in (("compare", "[-h] [OPTIONS] A B [DATA]"), ("evaluate", "[-h] [OPTIONS] [MODEL] [DATA]")):
        assert main([verb, "--help"]) == 0
        told = capsys.readouterr().out
        assert told.startswith(f"usage: intarsia {verb} {usage}\n")
        assert "\n\n\n" not in told


def test_a_saved_evaluation_and_a_run_are_no_pair(folders, tmp_path):
    intarsia.evaluate_folders(folders / "truth", folders / "worse", out=tmp_path)
    with pytest.raises(OptionError, match="compare: expected two networks, or two saved evaluations alone"):
        intarsia.compare(tmp_path, "runs/x")


def test_counts_that_are_none(tmp_path):
    (tmp_path / "counts.npz").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"counts.npz: expected the counts that `intarsia evaluate --out` writes"):
        intarsia.compare(tmp_path, tmp_path)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs on the same scenes, and one that says it was on others."""
    root = tmp_path_factory.mktemp("runs")
    write_scenes(root / "data", 12, size=(32, 48), val=0.25, test=0.25)
    options = {"model_args": {"widths": [4, 8]}, "batch_size": 4, "device": "cpu", "precision": "fp32", "quiet": True}
    made = {name: intarsia.train(root / "data", epochs=1, out=str(root / name), lr=lr, **options) for name, lr in RATES.items()}
    shutil.copytree(root / "a", root / "c")
    (root / "c" / "run.json").write_text(json.dumps({**made["a"].facts, "data_hash": "other"}))
    return root, {**made, "c": intarsia.Run(root / "c")}


def test_two_runs_on_their_own_data_read_each_image_once(runs, monkeypatch):
    root, made = runs
    reads = []
    plain = Dataset.__getitem__
    monkeypatch.setattr(Dataset, "check", lambda self: None)  # which reads them too, before anything else
    monkeypatch.setattr(Dataset, "__getitem__", lambda self, index: reads.append(index) or plain(self, index))
    found = intarsia.compare(made["a"], made["b"].folder, device="cpu", precision="fp32", measures=["calibration"])
    assert len(reads) == found.images == 3
    for name, run in (("a", made["a"]), ("b", made["b"])):
        alone = intarsia.evaluate(run, device="cpu", precision="fp32", measures=["calibration"])
        assert getattr(found.scores["semantic"]["mean_iou"], name) == pytest.approx(alone.mean_iou)
        error = alone.measures["calibration"]["expected_calibration_error"]
        assert getattr(found.scores["calibration"]["expected_calibration_error"], name) == pytest.approx(error)
    assert (found.a, found.b) == (str(root / "a"), str(root / "b"))


def test_runs_on_other_data_are_told_apart(runs):
    root, made = runs
    with pytest.raises(DataError, match=r"compare: expected runs on the same data, hash \w+ as of .*a, received hash other of .*c"):
        intarsia.compare(made["a"], made["c"])
    assert intarsia.compare(made["a"], made["c"], root / "data", device="cpu").images == 3


def test_saved_evaluations_of_networks_compare_as_the_networks_do(runs, tmp_path):
    _, made = runs
    for name in "ab":
        intarsia.evaluate(made[name], out=tmp_path / name, device="cpu", precision="fp32")
    saved = intarsia.compare(tmp_path / "a", tmp_path / "b").to_dict()
    direct = intarsia.compare(made["a"], made["b"], device="cpu", precision="fp32").to_dict()
    assert saved["semantic"]["mean_iou"] == pytest.approx(direct["semantic"]["mean_iou"])
    assert json.loads((tmp_path / "a" / "scores.json").read_text())["data_hash"]
