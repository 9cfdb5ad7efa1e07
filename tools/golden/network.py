"""The residual network for small images, depth 6n+2, and its cut into modules."""
from layers import batch_norm, conv, linear, pooled


def block(parameters, name, x, width, stride):
    hidden = batch_norm(parameters, f"{name}.bn1", conv(parameters, f"{name}.conv1", x, width, 3, stride, 1)).relu()
    hidden = batch_norm(parameters, f"{name}.bn2", conv(parameters, f"{name}.conv2", hidden, width, 3, 1, 1))
    if stride == 1 and x.shape[1] == width:
        return (hidden + x).relu()
    side = conv(parameters, f"{name}.downsample.conv", x, width, 1, stride)
    return (hidden + batch_norm(parameters, f"{name}.downsample.bn", side)).relu()


class Network:
    """`blocks`: (name, width, halves the map) in order. `modules`: numbers of the blocks of each."""

    def __init__(self, recipe):
        config = recipe["network"]
        self.stem_width, *widths = config["widths"]
        self.classes = config["classes"]
        count = (config["depth"] - 2) // 6
        self.blocks = [
            (f"layer{stage + 1}.{index}", width, stage > 0 and index == 0)
            for stage, width in enumerate(widths)
            for index in range(count)
        ]
        self.modules = self._cut(recipe["split"]["boundaries"])

    def _cut(self, boundaries):
        names = [name for name, _, _ in self.blocks]
        ends = [names.index(boundary) + 1 for boundary in boundaries]
        return [range(start, end) for start, end in zip([0] + ends, ends)]

    def run(self, parameters, module, x):
        """One module's output: features, or class scores of the last module."""
        if module == 0:
            x = conv(parameters, "stem.conv", x, self.stem_width, 3, 1, 1)
            x = batch_norm(parameters, "stem.bn", x).relu()
        for index in self.modules[module]:
            name, width, halves = self.blocks[index]
            x = block(parameters, name, x, width, 2 if halves else 1)
        return linear(parameters, "fc", pooled(x), self.classes) if module == len(self.modules) - 1 else x
