"""Heads on patches of the features."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Patch:
    """Cell (row, column) of a grid x grid partition of a map."""

    grid: int
    row: int
    column: int

    def of(self, array):
        height, width = array.shape[2] // self.grid, array.shape[3] // self.grid
        rows = slice(self.row * height, (self.row + 1) * height)
        columns = slice(self.column * width, (self.column + 1) * width)
        return array[:, :, rows, columns]


def head_loss(head, parameters, name, features, config):
    """The loss of a head on the whole map, or on patches: a loss each, added, or one loss of the mean output."""
    if config is None or head.kind not in config["on"]:
        whole = [Patch(1, 0, 0)]
        return head.loss(head.output(parameters, name, features, 1), whole)
    grid = config["grid"]
    patches = [Patch(grid, row, column) for row in range(grid) for column in range(grid)]
    names = [f"{name}.{i}" if config["weights"] == "separate" else name for i in range(len(patches))]
    outputs = [head.output(parameters, own, patch.of(features), grid) for own, patch in zip(names, patches)]
    if config["fuse"] == "sum":
        return sum(head.loss(output, [patch]) for output, patch in zip(outputs, patches))
    return head.loss(sum(outputs) * (1 / len(outputs)), patches)
