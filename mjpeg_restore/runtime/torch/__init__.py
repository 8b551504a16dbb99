"""PyTorch, which runs the ONNX graphs themselves: on NVIDIA GPUs where TensorRT is not installed, and on CPUs.

    program.py      a graph as a program of PyTorch's functions, planned for each size of pictures
    operators.py    ONNX's operators: the table, and those on single values
    layout.py       operators that move values
    layers.py       convolutions, pooling, norms, products
    resizing.py     Resize
    network.py      loading on a CPU or a GPU
    session.py      a camera's pictures on a GPU: streams and CUDA graphs

No package that converts ONNX graphs to PyTorch would do: `onnx2torch` is at opset 16 and fixes shapes, and `onnx2fx` is
young and computes shapes as it runs, which no CUDA graph can hold.
"""

# What follows is the first thing that all modules of this package do; they import both as if they were always there.
from mjpeg_restore.errors import Hint, MissingExtra
from mjpeg_restore.runtime.base import wrap_errors
from mjpeg_restore.runtime.weights import imported_onnx

with wrap_errors("PyTorch is installed but does not load", Hint("try {device}", device="onnxruntime")):
    try:
        import torch as torch
    except ModuleNotFoundError as error:
        raise MissingExtra("torch", "torch", "this device") from error
imported_onnx("torch", "PyTorch")
