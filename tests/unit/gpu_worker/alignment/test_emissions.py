"""A batch's emissions are those of each window alone, whatever the model normalises over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchaudio import pipelines
from transformers import Wav2Vec2ForCTC

from gpu_worker.alignment import AlignerRequest
from gpu_worker.alignment.emissions import EmissionModel, alike_in_length, load_emission_model
from gpu_worker.alignment.networks import Convolution
from gpu_worker.builtin import PICO_ALIGN
from gpu_worker.devices.torch_devices import pick_device
from gpu_worker.errors import DeviceFault, DevicePoisoned, UnknownModel
from gpu_worker.pcm import SAMPLE_RATE
from tests.inputs.align_models import LETTERS, hub_model, register_bundle

pytestmark = pytest.mark.slow  # it imports torch and transformers


def noise(seconds: float, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    dice = np.random.default_rng(seed)
    return dice.normal(0, 0.1, int(seconds * SAMPLE_RATE)).astype(np.float32)


ROUNDING = 1e-3  # convolutions of several windows add up in another order
WINDOWS = [noise(1.3, 1), noise(0.4, 2), noise(1.3, 3), noise(2.01, 4), noise(0.025, 5)]


def load(name: str | Path) -> EmissionModel:
    return load_emission_model(AlignerRequest("ctc", str(name), "en", device="cpu"))


def alone(name: str | Path) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
    """Each window by itself, through the whole model, as whisperX feeds it."""
    bundle = getattr(pipelines, str(name), None)
    model: Any = bundle.get_model() if bundle else Wav2Vec2ForCTC.from_pretrained(name)
    found = []
    with torch.inference_mode():
        for window in WINDOWS:
            heard = model(torch.from_numpy(window)[None])
            logits = heard[0] if bundle else heard.logits
            found.append(torch.log_softmax(logits, dim=-1)[0].numpy())
    return found


def assert_same(model: EmissionModel, name: str | Path) -> None:
    """By the convolutions one at a time, as on a CPU, and several at once, as on a GPU."""
    expected = alone(name)
    batched = EmissionModel(model._network, "cpu", convolved_seconds=4.0)
    for found, far in ((model.emissions(WINDOWS), 1e-4), (batched.emissions(WINDOWS), ROUNDING)):
        assert [one.shape for one in found] == [one.shape for one in expected]
        for one, of_one in zip(found, expected, strict=True):
            assert np.abs(one - of_one).max() < far
    assert np.ptp(expected[0], axis=0).max() > 0.1  # the model does listen


@pytest.mark.parametrize(("norm", "stable"), [("group", False), ("layer", True)])
def test_hub_models(norm: str, stable: bool, tmp_path: Path) -> None:
    hub_model(tmp_path, norm=norm, stable=stable)
    model = load(tmp_path)
    assert {letter: model.vocabulary[letter] for letter in LETTERS} == dict(
        zip(LETTERS, range(len(LETTERS)), strict=True)
    )
    assert_same(model, tmp_path)


@pytest.mark.parametrize("normalised", [False, True])
def test_torchaudio_bundles(
    normalised: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_bundle(monkeypatch, tmp_path, "SMALL_BUNDLE", normalised=normalised)
    model = load("SMALL_BUNDLE")
    assert (model.vocabulary["-"], model.vocabulary["|"], model.vocabulary["E"]) == (0, 1, 2)
    assert_same(model, "SMALL_BUNDLE")


def test_the_built_in_model() -> None:
    assert_same(load("pico-align"), PICO_ALIGN)


def test_windows_that_run_at_once_are_of_about_one_length() -> None:
    assert alike_in_length([]) == []
    assert alike_in_length([10, 30, 7, 8, 29, 30, 23]) == [[1, 5, 4, 6], [0, 3], [2]]


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_company_in_the_convolutions_changes_nothing(norm: str, tmp_path: Path) -> None:
    """`group` normalises over the window, so that padding before its norm would be heard."""
    network = load(hub_model(tmp_path, norm=norm))._network
    model = EmissionModel(network, "cpu", convolved_seconds=30.0)
    lengths = [1.3, 1.21, 1.0, 1.3, 1.11]
    convolved: list[int] = []
    layer: Any = network.convolutions[1].run
    layer.register_forward_hook(lambda _, given, __: convolved.append(len(given[0])))
    together = model.emissions([noise(length, seed) for seed, length in enumerate(lengths)])
    assert convolved == [5]
    for seed, length in enumerate(lengths):
        [alone] = model.emissions([noise(length, seed)])
        assert np.abs(together[seed] - alone).max() < ROUNDING


def test_windows_of_one_length_need_no_mask(tmp_path: Path) -> None:
    model = load(hub_model(tmp_path))
    one, other = model.emissions([WINDOWS[0], WINDOWS[2]])
    assert np.allclose(one, model.emissions([WINDOWS[0]])[0], atol=1e-4)
    assert np.allclose(other, model.emissions([WINDOWS[2]])[0], atol=1e-4)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_half_precision_hears_nearly_the_same(kind: str) -> None:
    request = AlignerRequest("ctc", "pico-align", "en", device="cpu", compute_type=kind)
    for half, whole in zip(
        load_emission_model(request).emissions(WINDOWS),
        load("pico-align").emissions(WINDOWS),
        strict=True,
    ):
        assert half.dtype == np.float32
        assert 0 < np.abs(half - whole).max() < 0.5


def test_a_model_too_large_for_half_precision_is_heard_in_float32(tmp_path: Path) -> None:
    network: Any = load(hub_model(tmp_path))._network
    head = network.model.lm_head
    with torch.no_grad():
        head.weight *= 1e6
    found = EmissionModel(network, "cpu", "float16").emissions(WINDOWS)
    for one, other in zip(found, EmissionModel(network, "cpu").emissions(WINDOWS), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("samples", [1, 399, 400])
def test_the_shortest_windows_have_one_frame(samples: int, tmp_path: Path) -> None:
    model = load(hub_model(tmp_path))
    assert [len(found) for found in model.emissions([noise(1)[:samples]])] == [1]


def test_no_windows_have_no_emissions() -> None:
    assert load("pico-align").emissions([]) == []


def test_audio_that_may_not_be_written_is_no_trouble() -> None:
    audio = noise(0.5)
    audio.setflags(write=False)
    assert len(load("pico-align").emissions([audio])) == 1


class Failing:
    """A network whose device reports a fault."""

    def __init__(self, message: str) -> None:
        self.vocabulary: Mapping[str, int] = {"-": 0}
        self.convolutions: Sequence[Convolution] = [Convolution(torch.nn.Identity(), 1, 1)]
        self._message = message

    def scale(self, audio: torch.Tensor) -> torch.Tensor:
        raise RuntimeError(self._message)

    def judge(self, features: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("CUDA out of memory. Tried to allocate 2 GiB", MemoryError),
        ("DefaultCPUAllocator: can't allocate memory: you tried", MemoryError),
        ("CUDA error: uncorrectable ECC error encountered", DeviceFault),
        ("CUDA error: an illegal memory access was encountered", DevicePoisoned),
        ("shapes cannot be multiplied", RuntimeError),
    ],
)
def test_the_device_s_faults_have_their_names(message: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        EmissionModel(Failing(message), "cpu").emissions([noise(1)])


def test_a_device_that_is_not_there_is_refused() -> None:
    for device in ("tpu", "cuda:77"):
        with pytest.raises(DeviceFault, match=device):
            load_emission_model(AlignerRequest("ctc", "pico-align", "en", device=device))


def test_a_directory_with_another_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(UnknownModel, match="not a wav2vec2 model"):
        load(tmp_path)


def test_the_device_is_found_or_taken_as_named() -> None:
    assert pick_device("cpu") == "cpu"
    assert pick_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
