"""A model that gives chroma at luma's size, made as another package would make one."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import torch
from torch import Tensor, nn
from torch.nn import functional

from mjpeg_restore.catalogue import Model, read_manifest, write_manifest
from mjpeg_restore.models.decode import Decode
from mjpeg_restore.models.entries import model_entry, variant_entry
from mjpeg_restore.models.graph import export_variant
from mjpeg_restore.models.planes import from_unit, to_grid, to_unit


class Sharpen(nn.Module):
    """Sharpens Y, Cb and Cr at luma's size: each sample depends on its neighbours, and chroma on luma."""

    margin = 1
    kernel: Tensor
    mixture: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.decode = Decode()
        kernel = torch.full((3, 3), -1 / 16)
        kernel[1, 1] = 1 + 8 / 16
        self.register_buffer("kernel", kernel.expand(3, 1, 3, 3).contiguous())
        self.register_buffer("mixture", torch.tensor([[1, 0, 0], [0.25, 0.75, 0], [0.25, 0, 0.75]])[..., None, None])

    def forward(self, *components: Tensor) -> tuple[Tensor, ...]:
        luma, *chroma = map(to_unit, self.decode(*components))
        picture = torch.cat([luma, *(to_grid(plane, *luma.shape[2:]) for plane in chroma)], dim=1)
        count = picture.shape[1]
        sharp = functional.conv2d(functional.pad(picture, (1, 1, 1, 1), "replicate"), self.kernel[:count], groups=count)
        return tuple(map(from_unit, functional.conv2d(sharp, self.mixture[:count, :count]).split(1, dim=1)))


@cache
def sharpen() -> Model:
    """The model, read from a manifest beside its graphs."""
    folder, network = Path(mkdtemp()), Sharpen().eval()
    graphs = export_variant({"grey": network, "colour": network}, "sharpen", folder)
    write_manifest(folder, {"sharpen": model_entry(network, "sharpens", [variant_entry(graphs)])})
    return read_manifest(folder)["sharpen"]
