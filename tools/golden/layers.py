"""Layers and losses on `tape` arrays; a layer asks `parameters` for its weights by name."""
import numpy as np

from tape import Node


class Parameters:
    """Weights by name, drawn when first asked for. Reused by later passes."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes = {}

    def get(self, name, shape, draw):
        if name not in self.nodes:
            # Files hold float32: the program starts from just those numbers.
            self.nodes[name] = Node(np.float32(draw(self.random, shape)))
        return self.nodes[name]


def _normal(scale, around=0.0):
    return lambda random, shape: around + scale * random.standard_normal(shape)


def convolve(x, weight, stride=1, padding=0):
    """Cross-correlation of [N, C, H, W] with [O, C, k, k]."""
    size = weight.shape[2]
    padded = np.pad(x.value, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]

    def back(g):
        into = np.zeros(padded.shape)
        for row in range(size):
            for column in range(size):
                rows = slice(row, row + stride * g.shape[2], stride)
                columns = slice(column, column + stride * g.shape[3], stride)
                into[:, :, rows, columns] += np.einsum("nohw,oc->nchw", g, weight.value[:, :, row, column])
        inner = slice(padding, into.shape[2] - padding), slice(padding, into.shape[3] - padding)
        return into[:, :, inner[0], inner[1]], np.einsum("nohw,nchwij->ocij", g, windows)

    return Node(np.einsum("nchwij,ocij->nohw", windows, weight.value), (x, weight), back)


def conv(parameters, name, x, out, kernel, stride=1, padding=0, bias=False):
    weight = parameters.get(f"{name}.weight", (out, x.shape[1], kernel, kernel), _normal(0.4))
    y = convolve(x, weight, stride, padding)
    return y + parameters.get(f"{name}.bias", (out,), _normal(0.1)).reshape(1, out, 1, 1) if bias else y


def batch_norm(parameters, name, x):
    """By the batch's mean and biased variance; [N, C, H, W] or [N, C]."""
    channels = x.shape[1]
    axes = (0, 2, 3) if len(x.shape) == 4 else (0,)
    per_channel = (1, channels) + (1,) * (len(x.shape) - 2)
    centred = x - x.mean(axes, keep=True)
    scaled = centred / ((centred * centred).mean(axes, keep=True) + 1e-5).sqrt()
    gamma = parameters.get(f"{name}.weight", (channels,), _normal(0.2, around=1.0)).reshape(*per_channel)
    beta = parameters.get(f"{name}.bias", (channels,), _normal(0.2)).reshape(*per_channel)
    return scaled * gamma + beta


def linear(parameters, name, x, out):
    weight = parameters.get(f"{name}.weight", (out, x.shape[1]), _normal(0.4))
    return x @ weight.transpose(1, 0) + parameters.get(f"{name}.bias", (out,), _normal(0.1))


def pooled(x):
    """Mean over all positions: [N, C]."""
    return x.mean((2, 3))


def between(x, rows, columns):
    """Rows and columns of a map as products with constant matrices."""
    return Node(rows) @ x @ Node(columns.T)


def averaging(length, cells):
    """Matrix of the means over `cells` windows that cover a line: window i spans floor(i l / c) to ceil((i+1) l / c)."""
    matrix = np.zeros((cells, length))
    for cell in range(cells):
        start, end = cell * length // cells, -(-(cell + 1) * length // cells)
        matrix[cell, start:end] = 1 / (end - start)
    return matrix


def interpolating(length, points):
    """Matrix of linear interpolation of a line, its ends on the ends."""
    at = np.linspace(0, length - 1, points)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(length)[None, :]))


def one_hot(label, classes):
    return np.eye(classes)[label]


def cross_entropy(logits, label):
    shifted = logits - logits.value.max(axis=1, keepdims=True)
    log_probability = shifted - shifted.exp().sum((1,), keep=True).log()
    return -(log_probability * one_hot(label, logits.shape[1])).sum() * (1 / len(label))


def binary_cross_entropy(logits, target):
    probability = Node(np.ones(logits.shape)) / ((-logits).exp() + 1.0)
    return -(probability.log() * target + (-probability + 1.0).log() * (1 - target)).mean()
