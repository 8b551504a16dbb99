"""8-bit steps of activations are removed: a GPU computes in float16 or float32."""

from __future__ import annotations

from onnx import NodeProto, helper

from mjpeg_restore.runtime.rewriting.graph import Graph


def remove_rounding(graph: Graph) -> None:
    """Remove the pairs of QuantizeLinear and DequantizeLinear, whose weights `fold_constants` has rounded.

    What the steps clipped at the ends of their range is clipped no more, with one exception: below a range that begins
    at zero, it was the layer's rectifier.
    """
    makers, users = graph.makers(), graph.users()
    instead: dict[str, str] = {}
    kept: list[NodeProto] = []
    for node in graph.nodes:
        taken = users.get(node.output[0], [])
        if node.op_type == "DequantizeLinear" and node.output[0] in instead:
            continue
        if node.op_type != "QuantizeLinear" or {user.op_type for user in taken} != {"DequantizeLinear"}:
            kept.append(node)
            continue
        source = instead.get(node.input[0], node.input[0])
        maker = makers.get(node.input[0])
        if _begins_at_zero(graph, node) and not (maker and maker.op_type == "Relu"):
            kept.append(helper.make_node("Relu", [source], [node.output[0]]))
            source = node.output[0]
        instead |= {user.output[0]: source for user in taken}
    graph.nodes = kept
    graph.rewire(instead)


def _begins_at_zero(graph: Graph, node: NodeProto) -> bool:
    """Whether the range of a QuantizeLinear is that of unsigned integers, and their zero stands for zero."""
    if len(node.input) < 3 or not node.input[2]:
        return True  # ONNX's default is an unsigned zero
    zero = graph.constants[node.input[2]]
    return zero.dtype.kind == "u" and not zero.any()
