"""Turn a training run's checkpoint into what is shipped: two ONNX graphs and an entry of the manifest.

python scripts/export.py --model stream            # from runs/stream/checkpoint.pt
python scripts/export.py --model decode            # has nothing to train
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mjpeg_restore.models.decode import Decode
from mjpeg_restore.models.graph import publish
from mjpeg_restore.models.macs import macs_per_pixel
from mjpeg_restore.training.recipes import RECIPES

SUMMARIES = {
    "decode": "the plain JPEG decode, no network: what the others are compared with",
    "stream": "the real-time network: one set of weights for all qualities, tables and samplings",
    "stream-lite": "the same at a third of the cost, for small machines and many cameras",
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, choices=sorted(SUMMARIES))
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where scripts/train.py keeps checkpoints")
    parser.add_argument("--engines", type=Path, default=Path("engines"), help="where graphs and manifest go")
    return parser.parse_args()


def load(model: str, runs: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The network and the record of its training."""
    if model not in RECIPES:
        return Decode(), {}
    checkpoint = runs / model / "checkpoint.pt"
    if not checkpoint.is_file():
        sys.exit(f"export: {checkpoint}: no checkpoint there; run scripts/train.py --model {model} first")
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    network = RECIPES[model].build()
    network.load_state_dict(state["model"])
    progress = state["progress"]
    training = {
        "steps": progress["steps"],
        "hours": round(progress["seconds"] / 3600, 2),
        "megapixels": round(progress["pixels"] / 1e6),
        "validation_gain_db": progress["validation"],
        **progress["settings"],
    }
    return network.eval(), training


def main() -> int:
    options = arguments()
    network, training = load(options.model, options.runs)
    graphs = publish(network, options.model, options.engines)
    manifest_path = options.engines / "manifest.json"
    manifest = json.loads(manifest_path.read_text()) if manifest_path.exists() else {"models": {}}
    before = manifest["models"].get(options.model, {})
    manifest["models"][options.model] = {
        "summary": SUMMARIES[options.model],
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "macs_per_pixel": round(macs_per_pixel(network), 1),
        "graphs": graphs,
        "training": training,
        "quality": before.get("quality", {}) if before.get("graphs") == graphs else {},
    }
    manifest_path.write_text(json.dumps(manifest, indent=2) + "\n")
    print(f"{options.model}: {manifest['models'][options.model]['macs_per_pixel']:.0f} MACs per pixel, {graphs}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
