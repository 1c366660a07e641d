"""Parakeet as an engine: FastConformer models of NeMo as ONNX graphs, without torch.

onnx-asr reads the files, computes the features and walks over the frames (CTC, RNN-T or TDT, one
path without beams); ONNX Runtime computes the graphs. `engine.py` has the windows, `loading.py` a
model by its name, `words.py` the words of its tokens.
"""
