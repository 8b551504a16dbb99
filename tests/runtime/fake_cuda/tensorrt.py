"""TensorRT without a GPU: what mjpeg_restore/runtime/tensorrt calls, of both packages.

An "engine" is the ONNX graph, which ONNX Runtime computes when the stream comes to it, in the memory of `libcuda.c`.
Whatever the real package would leave undefined is noted there: `FakeDriver.misuse`.
"""

from __future__ import annotations

import ctypes
import hashlib
import pickle
from enum import Enum, IntEnum
from typing import Any, ClassVar

import numpy as np
import onnx

from tests.runtime.fake_cuda.library import FakeDriver, driver
from tests.runtime.rewriting.running import Loaded

BUILDER = "of one version"
"""Engines that were built when this was another word are refused."""

FAILURES: dict[str, str] = {}
"""Messages of functions that are to fail, by their names."""

SCRATCH = 1000
"""Bytes of memory that a context needs for each block of luma."""

COUNTS = {"built": 0, "executed": 0, "contexts": 0}

_GRAPHS: dict[str, Loaded] = {}
_KEPT: list[Any] = []
"""Functions that the driver may still call."""


class ILogger:
    class Severity(IntEnum):
        INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class IProgressMonitor:
    pass


class NetworkDefinitionCreationFlag(IntEnum):
    STRONGLY_TYPED = 1


class BuilderFlag(IntEnum):
    TF32 = 7
    REQUIRE_USER_ALLOCATION = 28


class ExecutionContextAllocationStrategy(Enum):
    STATIC, ON_PROFILE_CHANGE, USER_MANAGED = range(3)


class DynamicShapesKernelSpecializationStrategy(Enum):
    LAZY, EAGER, NONE = range(3)


class ComputeCapability(Enum):
    NONE, CURRENT, SM75, SM86, SM89, SM120 = 0, 1, 75, 86, 89, 120


def _fails(name: str, logger: Any) -> bool:
    """Whether a function is to fail. It says why, as TensorRT does."""
    if name in FAILURES:
        logger.log(ILogger.Severity.ERROR, FAILURES[name])
    return name in FAILURES


class _OnGpu:
    """An object of a GPU: the same one must be current when it begins and when it ends."""

    def __init__(self) -> None:
        self._driver: FakeDriver = driver()
        self.gpu = self._driver.current
        if self.gpu < 0:
            self._driver.note(f"{type(self).__name__} begins where no GPU is current")

    def __del__(self) -> None:
        if self._driver.current != self.gpu:
            self._driver.note(f"{type(self).__name__} ends where its GPU is not the current one")


# ---- building ----


class Builder:
    def __init__(self, logger: Any) -> None:
        self.logger = logger

    def create_network(self, flags: int) -> Network:
        assert flags == 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED
        return Network()

    def create_builder_config(self) -> Config:
        return Config()

    def create_optimization_profile(self) -> Profile:
        return Profile()

    def build_serialized_network(self, network: Network, config: Config) -> bytes | None:
        if _fails("build", self.logger):
            return None
        COUNTS["built"] += 1
        engine = {"builder": BUILDER, "graph": network.graph, "shapes": config.profile.shapes}
        return pickle.dumps(engine | {"flags": config.flags, "capability": config.capability})


class Network:
    graph = b""

    @property
    def num_inputs(self) -> int:
        return len(onnx.load_model_from_string(self.graph).graph.input)

    def get_input(self, index: int) -> Any:
        return _Input(onnx.load_model_from_string(self.graph).graph.input[index])


class _Input:
    def __init__(self, value: Any) -> None:
        self.name: str = value.name
        self.shape = [dim.dim_value or -1 for dim in value.type.tensor_type.shape.dim]


class OnnxParser:
    num_errors = 0

    def __init__(self, network: Network, logger: Any) -> None:
        self.network = network

    def parse(self, graph: bytes) -> bool:
        self.network.graph = graph
        return True


class Profile:
    def __init__(self) -> None:
        self.shapes: dict[str, tuple[Any, ...]] = {}

    def set_shape(self, name: str, *shapes: tuple[int, ...]) -> None:
        self.shapes[name] = shapes


class Config:
    progress_monitor: Any = None
    num_compute_capabilities = 0

    def __init__(self) -> None:
        self.profile = Profile()
        self.flags = [BuilderFlag.TF32]
        self.capability: str | None = None

    def add_optimization_profile(self, profile: Profile) -> int:
        self.profile = profile
        return 0

    def set_flag(self, flag: BuilderFlag) -> None:
        self.flags.append(flag)

    def clear_flag(self, flag: BuilderFlag) -> None:
        self.flags.remove(flag)

    def set_compute_capability(self, capability: ComputeCapability, index: int) -> None:
        self.capability = capability.name

    def create_timing_cache(self, content: bytes) -> bytes:
        return content

    def set_timing_cache(self, cache: bytes, ignore_mismatch: bool) -> bool:
        return False


# ---- running ----


class Runtime(_OnGpu):
    def __new__(cls, logger: Any) -> Runtime:
        if _fails("Runtime", logger):
            raise TypeError("pybind11::init(): factory function returned nullptr")
        return super().__new__(cls)

    def __init__(self, logger: Any) -> None:
        super().__init__()
        self.logger = logger
        self.engines = 0

    def deserialize_cuda_engine(self, engine: bytes) -> ICudaEngine | None:
        if _fails("deserialize", self.logger):
            return None
        found = pickle.loads(engine)
        if found["builder"] != BUILDER:
            self.logger.log(ILogger.Severity.ERROR, "IRuntime::deserializeCudaEngine: Error Code 6: version mismatch")
            return None
        return ICudaEngine(self, found)

    def __del__(self) -> None:
        if hasattr(self, "engines"):
            super().__del__()
            if self.engines:
                self._driver.note("a runtime ends before its engine")


class ICudaEngine(_OnGpu):
    def __init__(self, runtime: Runtime, engine: dict[str, Any]) -> None:
        super().__init__()
        self.alive = [runtime.engines]
        self.logger = runtime.logger
        self.shapes: dict[str, Any] = engine["shapes"]
        key = hashlib.sha256(engine["graph"]).hexdigest()
        if key not in _GRAPHS:
            _GRAPHS[key] = Loaded(engine["graph"])
        self.graph = _GRAPHS[key]
        self.contexts = Count()

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        return list(self.shapes[name])

    def create_runtime_config(self) -> IRuntimeConfig:
        return IRuntimeConfig()

    def create_execution_context(self, how: Any) -> IExecutionContext | None:
        if isinstance(how, IRuntimeConfig):
            assert how.dynamic_shapes_kernel_specialization_strategy is DynamicShapesKernelSpecializationStrategy.EAGER
            how = how.strategy
        assert how is ExecutionContextAllocationStrategy.USER_MANAGED
        return None if _fails("context", self.logger) else IExecutionContext(self)

    def __del__(self) -> None:
        super().__del__()
        if self.contexts.number:
            self._driver.note("an engine ends before its contexts")


class Count:
    number = 0


class IRuntimeConfig:
    strategy = ExecutionContextAllocationStrategy.STATIC
    dynamic_shapes_kernel_specialization_strategy = DynamicShapesKernelSpecializationStrategy.LAZY

    def set_execution_context_allocation_strategy(self, strategy: ExecutionContextAllocationStrategy) -> None:
        self.strategy = strategy


class IExecutionContext(_OnGpu):
    capturable: ClassVar[bool] = True

    def __init__(self, engine: ICudaEngine) -> None:
        super().__init__()
        COUNTS["contexts"] += 1
        self._siblings = engine.contexts
        self._siblings.number += 1
        self.logger, self.graph, self.ranges = engine.logger, engine.graph, engine.shapes
        session = engine.graph._session
        self.inputs = {node.name: node for node in session.get_inputs()}
        self.outputs = {node.name: node for node in session.get_outputs()}
        self.shapes: dict[str, tuple[int, ...]] = {
            name: tuple(node.shape) for name, node in self.inputs.items() if name not in self.ranges
        }
        self.addresses: dict[str, int] = {}
        self.scratch = (0, 0)
        self.executed: dict[str, tuple[int, ...]] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        if name not in self.ranges:
            return tuple(shape) == self.shapes[name]
        fewest, _, most = self.ranges[name]
        if not all(low <= size <= high for low, size, high in zip(fewest, shape, most, strict=True)):
            words = "IExecutionContext::setInputShape: Error Code 3: API Usage Error (not in the profile)"
            self.logger.log(ILogger.Severity.ERROR, words)
            return False
        self.shapes[name] = tuple(shape)
        return True

    def infer_shapes(self) -> list[str]:
        if _fails("infer", self.logger):
            raise RuntimeError("infer_shapes error code: -1")
        return [name for name in self.inputs if name not in self.shapes]

    def update_device_memory_size_for_shapes(self) -> int:
        high, wide = self.shapes["y.coefficients"][:2]
        return SCRATCH * high * wide

    def set_device_memory(self, address: int, nbytes: int) -> None:
        self.scratch = (address, nbytes)

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name in self.inputs:
            return self.shapes[name]
        sizes = {
            symbol: size
            for name, node in self.inputs.items()
            for symbol, size in zip(node.shape, self.shapes[name], strict=True)
            if isinstance(symbol, str)
        }
        return tuple(_evaluated(size, sizes) for size in self.outputs[name].shape)

    def set_tensor_address(self, name: str, address: int) -> bool:
        if address % 256:
            self._driver.note("a tensor is not aligned")
        self.addresses[name] = address
        return True

    def is_stream_capturable(self, stream: int) -> bool:
        return self.capturable

    def execute_async_v3(self, stream: int) -> bool:
        if self._driver.current != self.gpu:
            self._driver.note("an engine is executed where its GPU is not the current one")
        if _fails("execute", self.logger):
            return False
        address, nbytes = self.scratch
        if nbytes < (needed := self.update_device_memory_size_for_shapes()):
            self.logger.log(ILogger.Severity.ERROR, f"{nbytes} bytes of memory, {needed} are needed")
            return False
        self._driver.memory(address, nbytes, self.gpu)
        COUNTS["executed"] += 1
        function = _HOST_FUNCTION(_Work(self))
        _KEPT.append(function)
        library = self._driver.library
        return library.cuLaunchHostFunc(ctypes.c_void_p(stream), function, None) == 0

    def __del__(self) -> None:
        super().__del__()
        self._siblings.number -= 1


_HOST_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Work:
    """An execution that was enqueued, with the sizes and addresses of that moment."""

    def __init__(self, context: IExecutionContext) -> None:
        names = [*context.inputs, *context.outputs]
        self._arrays = {name: (context.addresses[name], context.get_tensor_shape(name)) for name in names}
        self._types = {name: _TYPES[node.type] for name, node in (context.inputs | context.outputs).items()}
        self._graph, self._gpu, self._driver = context.graph, context.gpu, driver()
        self._inputs, self._outputs = list(context.inputs), list(context.outputs)

    def __call__(self, _: object) -> None:
        try:
            made = self._graph.run([self._array(name).copy() for name in self._inputs])
            for name, array in zip(self._outputs, made, strict=True):
                self._array(name)[...] = array
        except Exception as error:  # it would be lost in the C code that calls
            self._driver.note(f"execution: {error!r}")

    def _array(self, name: str) -> np.ndarray[Any, Any]:
        address, shape = self._arrays[name]
        dtype = np.dtype(self._types[name])
        nbytes = dtype.itemsize * int(np.prod(shape))
        block = (ctypes.c_uint8 * nbytes).from_address(self._driver.memory(address, nbytes, self._gpu))
        return np.ctypeslib.as_array(block).view(dtype).reshape(shape)


_TYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32, "tensor(float16)": np.float16}


def _evaluated(size: int | str, sizes: dict[str, int]) -> int:
    """An integer, or "8*high" with the sizes that the inputs have."""
    if isinstance(size, int):
        return size
    factor, _, symbol = size.rpartition("*")
    return int(factor or 1) * sizes[symbol]
