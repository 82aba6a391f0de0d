"""Six maps of VGG-16, pictures a second on one device, beside Captum on the same device in the same run.

``python tests/bench/gpu.py [--device cuda] [--batch 64] [--rounds 7]``: a few minutes on a graphics card.  Maps of both end on
the host.  Both run under PyTorch's default flags, where convolutions of a graphics card round to TF32, and then without TF32,
where the maps are to be the same.  What is wanted is said of a graphics card with 64 pictures of 224 × 224.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
import warnings
from importlib import metadata

import numpy as np
import torch
import torch_models

from theorylab.model.rules import PAPER
from theorylab.networks import vgg16
from theorylab.torch_bridge import attribute_many

TARGETS = [3, 700]


def seconds(run, device):
    """Of one run, until the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", type=torch.device, default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, default=64, help="pictures at a time (default: 64)")
    parser.add_argument("--rounds", type=int, default=7, help="of each in turn (default: 7)")
    parser.add_argument("--side", type=int, default=224, help="of the pictures (default: 224)")
    options = parser.parse_args()
    device, rules = options.device, list(PAPER)
    warnings.simplefilter("ignore")  # Captum says that it sets hooks
    shape = (3, options.side, options.side)
    model = torch_models.of(vgg16(init="fan-in", input_shape=shape)).to(device)
    xs = np.random.default_rng(0).standard_normal((options.batch, *shape), dtype=np.float32)

    def ours():
        return attribute_many(model, xs, rules, TARGETS)

    def captums():
        return torch_models.batch_maps(model, torch.from_numpy(xs).to(device), rules, TARGETS)

    card = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "CPU"
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("theorylab", "torch", "captum"))
    print(
        f"{time.strftime('%Y-%m-%d')}, {card}; {versions}; batches of {options.batch}, {options.rounds} rounds\n"
    )
    print(
        "| convolutions | theorylab, pictures a second | Captum | ratio | wanted | maps apart, median | wanted |"
        "\n|---|---|---|---|---|---|---|"
    )
    rows = (
        ("default flags", torch.backends.cudnn.allow_tf32, "4", ""),
        ("TF32 off", False, "3.5", "1e-5"),
    )
    for words, allowed, ratio, close in rows:
        torch.backends.cudnn.allow_tf32 = allowed
        found, theirs = ours(), captums()  # also warms both up
        apart = np.sqrt(((found - theirs) ** 2).sum((-3, -2, -1)) / (theirs**2).sum((-3, -2, -1)))
        times = [(seconds(ours, device), seconds(captums, device)) for _ in range(options.rounds)]
        rates = [options.batch / statistics.median(column) for column in zip(*times, strict=True)]
        print(
            f"| {words} | {rates[0]:.3g} | {rates[1]:.3g} | {rates[0] / rates[1]:.2f} | ≥ {ratio} "
            f"| {np.median(apart):.1e} | {close and f'≤ {close}'} |"
        )


if __name__ == "__main__":
    main()
