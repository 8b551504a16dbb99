"""NVIDIA GPUs by TensorRT: engines are built of the graphs on the user's machine, and kept in a cache.

package.py   `tensorrt` and `tensorrt_rtx`, two packages of one API, and what differs between them
profile.py   the sizes of pictures that an engine takes
builder.py   graph -> engine, with progress, and cancelled by an exception of the caller's
cache.py     files of engines: verified when read, complete when they appear, built once
engines.py   an engine for a graph: out of the cache, or built
loading.py   a graph as a network on a GPU of this machine
network.py   an engine on a GPU, which the cameras share
session.py   one camera's buffers: three pictures under way, on three streams
"""
