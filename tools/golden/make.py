#!/usr/bin/env python3
"""Golden steps of the local rules, in float64, by a program that shares nothing with src/ but the recipes.

    apt-get install python3-numpy
    /usr/bin/python3 tools/golden/make.py            # writes test/golden/rules/*.safetensors
    /usr/bin/python3 tools/golden/make.py predsim    # those of the recipes whose names begin so

Each file holds `weight/`, what two optimizer steps start from; `image`, normalised, and `label`; `loss/` of each step; `grad/` of the first and
`param/` after the second.
"""
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import tensors
from hpff import losses_and_gradients, sgd
from layers import Parameters
from network import Network

FOLDER = Path(__file__).parents[2] / "test/golden/rules"
IMAGES, STEPS, SEED = 8, 2, 20


@dataclass(frozen=True)
class Batch:
    """`pixels` in [0, 1], `image` normalised, both [N, C, H, W]; `label` [N]."""

    pixels: np.ndarray
    image: np.ndarray
    label: np.ndarray


def draw_batch(recipe):
    random = np.random.default_rng(SEED)
    mean, std = (np.array(recipe["data"]["normalize"][key]).reshape(1, -1, 1, 1) for key in ("mean", "std"))
    drawn = random.random((IMAGES, *recipe["network"]["image"]))
    image = ((drawn - mean) / std).astype(np.float32).astype(np.float64)
    label = np.arange(IMAGES, dtype=np.int64) % recipe["network"]["classes"]
    return Batch(image * std + mean, image, label)


def golden(recipe):
    network, parameters, batch = Network(recipe), Parameters(SEED), draw_batch(recipe)
    found = {"image": batch.image, "label": batch.label}
    losses, velocities = [], {}
    for step in range(STEPS):
        own, gradients = losses_and_gradients(recipe, network, parameters, batch)
        losses.append(own)
        if step == 0:
            found.update({f"weight/{name}": node.value for name, node in parameters.nodes.items()})
            found.update({f"grad/{name}": gradient for name, gradient in gradients.items()})
        sgd(recipe["optimizer"], parameters, gradients, velocities)
    found.update({f"param/{name}": node.value for name, node in parameters.nodes.items()})
    found.update({f"loss/{name}": np.array([own[name] for own in losses]) for name in losses[0]})
    return found


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    for path in sorted(FOLDER.glob(f"{wanted}*.recipe.json")):
        target = path.with_name(path.name.replace(".recipe.json", ".safetensors"))
        tensors.write(target, golden(json.loads(path.read_text())))
        print(f"{target.name}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
