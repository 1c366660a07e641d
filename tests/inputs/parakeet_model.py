"""A small model of Parakeet's kind, as files that onnx-asr reads: NeMo's features, a convolutional
encoder with frames of 80 ms, and a head of CTC, RNN-T or TDT.

It was trained on pico's voices (`scripts/pico/train_transducer.py`), so what it writes can be
compared with what was said. Graphs are made of its weights when they are asked for. The heads of
RNN-T and TDT are not trained: the encoder says which word begins in a frame, and they repeat it.
Graphs have the names, inputs and outputs of those that NeMo exports.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests import DATA

Head = Literal["ctc", "rnnt", "tdt"]
WEIGHTS = DATA / "parakeet.npz"
LANGUAGES = ("en", "es")
LONGEST_WINDOW = 15.0  # seconds
MELS, BLOCKS = 128, 4
STATE = (2, 1, 8)  # of the predictor, which has nothing to remember
DURATIONS = 5  # of TDT: 0 to 4 frames
_REFUSED = -30.0  # added to a log probability that is not to win
_OPSET, _IR = 17, 10  # that all versions of ONNX Runtime in use know

Array = npt.NDArray[Any]


def write_parakeet(directory: Path, head: Head = "tdt") -> Path:
    """Write the model's files and return the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    weights = dict(np.load(WEIGHTS))
    tokens: list[str] = json.loads(weights.pop("tokens").tobytes())
    if head == "ctc":
        _save(directory / "model.onnx", _Encoder(weights, len(tokens)).ctc())
    else:
        _save(directory / "encoder-model.onnx", _Encoder(weights, len(tokens)).transducer())
        joint = _joint(len(tokens), DURATIONS if head == "tdt" else 0)
        _save(directory / "decoder_joint-model.onnx", joint)
    lines = "".join(f"{token} {number}\n" for number, token in enumerate(tokens))
    (directory / "vocab.txt").write_text(lines, encoding="utf-8")
    config = {"model_type": f"nemo-conformer-{head}", "features_size": MELS}
    config |= {"subsampling_factor": 8, "max_tokens_per_step": 1}
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
    card = {"languages": LANGUAGES, "max_window_seconds": LONGEST_WINDOW}
    (directory / "model.json").write_text(json.dumps(card), encoding="utf-8")
    return directory


def _save(file: Path, graph: onnx.GraphProto) -> None:
    opset = [helper.make_opsetid("", _OPSET)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=_IR)
    onnx.checker.check_model(model)
    onnx.save(model, file)


class _Encoder:
    """A graph that grows by a node at a time."""

    def __init__(self, weights: dict[str, Array], tokens: int) -> None:
        self._weights, self._tokens = weights, tokens
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._lengths = "length"

    def ctc(self) -> onnx.GraphProto:
        """Log probabilities of all tokens, (windows, frames, tokens)."""
        scores = self._node("LogSoftmax", self._scores(), axis=1)
        self._node("Transpose", scores, perm=[0, 2, 1], name="logprobs")
        return self._graph("encoder", {"logprobs": ["B", "L", self._tokens]})

    def transducer(self) -> onnx.GraphProto:
        """The same as states, (windows, tokens, frames), with each word in one frame only."""
        scores = self._node("LogSoftmax", self._scores(), axis=1)
        best = self._node("ArgMax", scores, axis=1, keepdims=1)
        before = self._node("Slice", best, *map(self._numbers, ([0], [-1], [2])))
        first = self._node("Slice", best, *map(self._numbers, ([0], [1], [2])))
        none = self._node("Sub", self._node("Sub", first, first), self._numbers([1]))
        same = self._node("Equal", best, self._node("Concat", none, before, axis=2))
        again = self._node("Cast", same, to=TensorProto.FLOAT)
        refused = np.full((1, self._tokens, 1), _REFUSED, np.float32)
        refused[0, -1] = 0.0  # the blank
        self._node("Add", scores, self._node("Mul", again, self._constant(refused)), name="outputs")
        self._node("Identity", self._lengths, name="encoded_lengths")
        return self._graph("encoder", {"outputs": ["B", self._tokens, "L"]})

    def _scores(self) -> str:
        sound = self._relu(self._conv("audio_signal", "first", stride=2, pad=1))
        sound = self._halved(sound)
        for index in range(2):
            sound = self._conv(sound, f"half{index}.own", stride=2, pad=2)
            sound = self._halved(self._relu(self._conv(sound, f"half{index}.all")))
        for index in range(BLOCKS):
            own = self._conv(sound, f"block{index}.own", pad=5)
            wide = self._relu(self._conv(own, f"block{index}.all"))
            added = self._conv(wide, f"block{index}.back")
            sound = self._masked(self._node("Add", sound, added))
        return self._conv(sound, "out")

    def _conv(self, sound: str, layer: str, *, stride: int = 1, pad: int = 0) -> str:
        weight = self._weights[f"{layer}.weight"] * self._weights[f"{layer}.scale"]
        inputs = [sound, self._constant(weight.astype(np.float32))]
        if f"{layer}.bias" in self._weights:
            inputs.append(self._constant(self._weights[f"{layer}.bias"].astype(np.float32)))
        group = len(weight) if layer.endswith(".own") else 1
        return self._node("Conv", *inputs, strides=[stride], pads=[pad, pad], group=group)

    def _relu(self, sound: str) -> str:
        return self._node("Relu", sound)

    def _halved(self, sound: str) -> str:
        """Halve the lengths as the layer has halved the sound, and mask what is behind them."""
        less = self._node("Sub", self._lengths, self._numbers([1]))
        half = self._node("Div", less, self._numbers([2]))
        self._lengths = self._node("Add", half, self._numbers([1]))
        return self._masked(sound)

    def _masked(self, sound: str) -> str:
        """The sound, with zeros behind each window's length: no window hears what follows it."""
        frames = self._node("Gather", self._node("Shape", sound), self._number(2))
        places = self._node("Range", self._number(0), frames, self._number(1))
        lengths = self._node("Unsqueeze", self._lengths, self._numbers([1, 2]))
        heard = self._node("Less", places, lengths)
        return self._node("Mul", sound, self._node("Cast", heard, to=TensorProto.FLOAT))

    def _number(self, value: int) -> str:
        return self._constant(np.array(value, np.int64))

    def _numbers(self, values: list[int]) -> str:
        return self._constant(np.array(values, np.int64))

    def _constant(self, values: Array) -> str:
        name = f"constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(values, name))
        return name

    def _node(self, kind: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        output = name or f"value{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def _graph(self, name: str, outputs: dict[str, list[Any]]) -> onnx.GraphProto:
        told = [_tensor(output, TensorProto.FLOAT, shape) for output, shape in outputs.items()]
        if "outputs" in outputs:
            told.append(_tensor("encoded_lengths", TensorProto.INT64, ["B"]))
        signal = _tensor("audio_signal", TensorProto.FLOAT, ["B", MELS, "T"])
        length = _tensor("length", TensorProto.INT64, ["B"])
        return helper.make_graph(self._nodes, name, [signal, length], told, self._constants)


def _joint(tokens: int, durations: int) -> onnx.GraphProto:
    """The decoder with the joint network: it says what the frame says, and one frame further."""
    nodes = [
        helper.make_node("Transpose", ["encoder_outputs"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("Unsqueeze", ["turned", "axis"], ["said"]),
        helper.make_node("Identity", ["input_states_1"], ["output_states_1"]),
        helper.make_node("Identity", ["input_states_2"], ["output_states_2"]),
        helper.make_node("Identity", ["target_length"], ["prednet_lengths"]),
    ]
    constants = [numpy_helper.from_array(np.array([1], np.int64), "axis")]
    if durations:
        one = np.zeros((1, 1, 1, durations), np.float32)
        one[..., 1] = 1.0
        constants.append(numpy_helper.from_array(one, "durations"))
        nodes.append(helper.make_node("Concat", ["said", "durations"], ["outputs"], axis=3))
    else:
        nodes.append(helper.make_node("Identity", ["said"], ["outputs"]))
    states = [_tensor(f"input_states_{number}", TensorProto.FLOAT, [*STATE]) for number in (1, 2)]
    inputs = [
        _tensor("encoder_outputs", TensorProto.FLOAT, ["B", tokens, "T"]),
        _tensor("targets", TensorProto.INT32, ["B", "U"]),
        _tensor("target_length", TensorProto.INT32, ["B"]),
        *states,
    ]
    after = [_tensor(f"output_states_{number}", TensorProto.FLOAT, [*STATE]) for number in (1, 2)]
    outputs = [
        _tensor("outputs", TensorProto.FLOAT, ["B", "T", "U", tokens + durations]),
        _tensor("prednet_lengths", TensorProto.INT32, ["B"]),
        *after,
    ]
    return helper.make_graph(nodes, "decoder_joint", inputs, outputs, constants)


def _tensor(name: str, kind: int, shape: list[Any]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)
