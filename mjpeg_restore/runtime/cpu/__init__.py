"""Runtimes for the CPU: OpenVINO, ONNX Runtime, and the native decode and projection."""
