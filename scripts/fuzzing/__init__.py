"""Modules of the fuzzer: seeds, mutations, targets, and the build with sanitizers."""
