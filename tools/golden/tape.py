"""Reverse-mode differentiation of float64 NumPy arrays: every operation notes how a cotangent flows back."""
import itertools

import numpy as np

_order = itertools.count()


class Node:
    """An array, what it was made from, and `back`: cotangent -> a cotangent for each parent."""

    def __init__(self, value, parents=(), back=None):
        self.value = np.asarray(value, dtype=np.float64)
        self.parents = parents
        self.back = back
        self.number = next(_order)

    @property
    def shape(self):
        return self.value.shape

    def __add__(self, other):
        other = node(other)
        return Node(self.value + other.value, (self, other), lambda g: (g, g))

    def __sub__(self, other):
        other = node(other)
        return Node(self.value - other.value, (self, other), lambda g: (g, -g))

    def __mul__(self, other):
        other = node(other)
        return Node(self.value * other.value, (self, other), lambda g: (g * other.value, g * self.value))

    def __truediv__(self, other):
        other = node(other)
        ratio = self.value / other.value
        return Node(ratio, (self, other), lambda g: (g / other.value, -g * ratio / other.value))

    def __matmul__(self, other):
        def back(g):
            return g @ np.swapaxes(other.value, -1, -2), np.swapaxes(self.value, -1, -2) @ g

        return Node(self.value @ other.value, (self, other), back)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self):
        return self * -1.0

    def __getitem__(self, index):
        """Slices only: no element is taken twice."""

        def back(g):
            whole = np.zeros(self.shape)
            whole[index] = g
            return (whole,)

        return Node(self.value[index], (self,), back)

    def sum(self, axes=None, keep=False):
        axes = tuple(range(len(self.shape))) if axes is None else axes

        def back(g):
            return (np.broadcast_to(g if keep else np.expand_dims(g, axes), self.shape),)

        return Node(self.value.sum(axis=axes, keepdims=keep), (self,), back)

    def mean(self, axes=None, keep=False):
        total = self.sum(axes, keep)
        return total * (total.value.size / self.value.size)

    def reshape(self, *shape):
        return Node(self.value.reshape(shape), (self,), lambda g: (g.reshape(self.shape),))

    def transpose(self, *order):
        return Node(self.value.transpose(order), (self,), lambda g: (g.transpose(np.argsort(order)),))

    def relu(self):
        return Node(np.maximum(self.value, 0), (self,), lambda g: (g * (self.value > 0),))

    def sqrt(self):
        root = np.sqrt(self.value)
        return Node(root, (self,), lambda g: (g / (2 * root),))

    def exp(self):
        power = np.exp(self.value)
        return Node(power, (self,), lambda g: (g * power,))

    def log(self):
        return Node(np.log(self.value), (self,), lambda g: (g / self.value,))


def node(value):
    return value if isinstance(value, Node) else Node(value)


def cut(value):
    """The same numbers, through which nothing flows back."""
    return Node(value.value)


def gradients(output, cotangent, leaves):
    """Cotangents of the leaves, by walking back from `output`; zeros where none arrives."""
    waiting = {output.number: output}
    arrived = {output.number: np.full(output.shape, cotangent, dtype=np.float64)}
    while waiting:
        at = waiting.pop(max(waiting))
        if at.back is None:
            continue
        for parent, flow in zip(at.parents, at.back(arrived[at.number])):
            flow = _summed_to(flow, parent.shape)
            arrived[parent.number] = arrived[parent.number] + flow if parent.number in arrived else flow
            waiting[parent.number] = parent
    return [arrived.get(leaf.number, np.zeros(leaf.shape)) for leaf in leaves]


def _summed_to(flow, shape):
    """The cotangent of an operand that broadcasting repeated."""
    extra = flow.ndim - len(shape)
    repeated = tuple(range(extra)) + tuple(
        axis + extra for axis, length in enumerate(shape) if length == 1 and flow.shape[axis + extra] != 1
    )
    return flow.sum(axis=repeated, keepdims=True).reshape(shape) if repeated else flow
