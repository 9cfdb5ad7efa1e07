"""Heads: `output(parameters, name, features, cells)` of a patch, cells x cells of which make the map, and `loss(output, patches)`.

`patches` are the patches that the output is of; where it is the mean over patches, all of them.
"""
import numpy as np

from layers import (
    averaging,
    batch_norm,
    between,
    binary_cross_entropy,
    conv,
    cross_entropy,
    interpolating,
    linear,
    one_hot,
    pooled,
)
from network import block
from tape import Node


class ConvClassifier:
    """Convolutions, pool, linear layers, as `1c2f` says; class scores, or features for the contrastive loss."""

    kind = "classifier"

    def __init__(self, config, label, classes):
        self.config, self.label, self.classes = config, label, classes
        self.contrastive = config["loss"] == "contrastive"

    def output(self, parameters, name, x, cells):
        convolutions, linears = int(self.config["net"][0]), int(self.config["net"][2])
        channels = x.shape[1]
        width = min(64, 2 * channels) * self.config["widen"]
        for i in range(1, convolutions + 1):
            stride = 2 if i == 1 and channels < 64 else 1
            x = batch_norm(parameters, f"{name}.bn{i}", conv(parameters, f"{name}.conv{i}", x, width, 3, stride, 1)).relu()
        x = pooled(x)
        for i in range(1, linears):
            x = linear(parameters, f"{name}.fc{i}", x, self.config["features"]).relu()
        return linear(parameters, f"{name}.fc{linears}", x, self.config["features"] if self.contrastive else self.classes)

    def loss(self, output, patches):
        if not self.contrastive:
            return cross_entropy(output, self.label)
        return supervised_contrastive(output, self.label, self.config["temperature"])


def supervised_contrastive(rows, label, temperature):
    """Mean over images of the mean over others of the class of -log(e^(z.z'/t) / sum over all others)."""
    unit = rows / ((rows * rows).sum((1,), keep=True)).sqrt()
    cosine = (unit @ unit.transpose(1, 0)) * (1 / temperature)
    count = len(label)
    total = Node(0.0)
    for i in range(count):
        mates = [j for j in range(count) if j != i and label[j] == label[i]]
        if not mates:
            continue
        others = np.ones((1, count))
        others[0, i] = 0
        row = cosine[i : i + 1]
        log_partition = (row.exp() * others).sum().log()
        for j in mates:
            total = total + (log_partition - row[:, j : j + 1].sum()) * (1 / len(mates))
    return total * (1 / count)


class DglClassifier:
    """Pool to a quarter, three conv1x1, pool to 2x2, three linear layers, batch norm and ReLU between."""

    kind = "classifier"

    def __init__(self, config, label, classes):
        self.config, self.label, self.classes = config, label, classes

    def output(self, parameters, name, x, cells):
        images, channels, height, width = x.shape
        x = between(x, averaging(height, -(-height // 4)), averaging(width, -(-width // 4)))
        for i in (1, 2, 3):
            x = batch_norm(parameters, f"{name}.bn{i}", conv(parameters, f"{name}.conv{i}", x, channels, 1)).relu()
        x = between(x, averaging(x.shape[2], 2), averaging(x.shape[3], 2)).reshape(images, channels * 4)
        for i in (1, 2):
            x = batch_norm(parameters, f"{name}.bn{i + 3}", linear(parameters, f"{name}.fc{i}", x, self.config["features"])).relu()
        return linear(parameters, f"{name}.fc3", x, self.classes)

    def loss(self, output, patches):
        return cross_entropy(output, self.label)


class BlockClassifier:
    """Blocks as in the network, pool, a linear layer. `blocks`: (width, halves the map)."""

    kind = "classifier"

    def __init__(self, blocks, label, classes):
        self.blocks, self.label, self.classes = blocks, label, classes

    def output(self, parameters, name, x, cells):
        for i, (width, halves) in enumerate(self.blocks, start=1):
            x = block(parameters, f"{name}.block{i}", x, width, 2 if halves else 1)
        return linear(parameters, f"{name}.fc1", pooled(x), self.classes)

    def loss(self, output, patches):
        return cross_entropy(output, self.label)


class Decoder:
    """Resize to the patch of the image, conv3x3 + BN + ReLU, conv3x3; binary cross-entropy of the sigmoid against the pixels."""

    kind = "decoder"

    def __init__(self, widen, pixels):
        self.widen, self.pixels = widen, pixels

    def output(self, parameters, name, x, cells):
        channels, height, width = (self.pixels.shape[1], self.pixels.shape[2] // cells, self.pixels.shape[3] // cells)
        x = between(x, interpolating(x.shape[2], height), interpolating(x.shape[3], width))
        x = conv(parameters, f"{name}.conv1", x, 12 * self.widen, 3, 1, 1, bias=True)
        x = batch_norm(parameters, f"{name}.bn1", x).relu()
        return conv(parameters, f"{name}.conv2", x, channels, 3, 1, 1, bias=True)

    def loss(self, output, patches):
        target = sum(cell.of(self.pixels) for cell in patches) / len(patches)
        return binary_cross_entropy(output, target)


class Similarity:
    """conv3x3, standard deviation of each channel; mean squared error between the similarities of features and of labels."""

    kind = "similarity"

    def __init__(self, label, classes):
        self.label, self.classes = label, classes

    def output(self, parameters, name, x, cells):
        x = conv(parameters, f"{name}.conv1", x, x.shape[1], 3, 1, 1)
        positions = x.shape[2] * x.shape[3]
        centred = x - x.mean((2, 3), keep=True)
        return ((centred * centred).sum((2, 3)) * (1 / (positions - 1))).sqrt()

    def loss(self, output, patches):
        target = adjusted_cosine(Node(one_hot(self.label, self.classes)))
        error = adjusted_cosine(output) - target.value
        return (error * error).mean()


def adjusted_cosine(rows):
    centred = rows - rows.mean((1,), keep=True)
    unit = centred / (centred * centred).sum((1,), keep=True).sqrt()
    return unit @ unit.transpose(1, 0)
