"""HiLo as it is defined: every pass runs the modules that its gradient may enter, from features through which nothing flows back."""
import numpy as np

from layers import cross_entropy
from patches import head_loss
from rules import heads_of
from tape import Node, cut, gradients


def losses_and_gradients(recipe, network, parameters, batch):
    """Losses by name before weighting, their weighted sum as `total`, and the gradient of every parameter."""
    return _Step(recipe, network, parameters, batch).run()


class _Step:
    def __init__(self, recipe, network, parameters, batch):
        self.recipe, self.network, self.parameters, self.batch = recipe, network, parameters, batch
        self.losses = {"total": 0.0}
        self.gradients = {}

    def run(self):
        last = len(self.network.modules) - 1
        weights = self.recipe["local"]["hierarchy"]
        features = self._features()
        for module in range(1, last + 1):
            alone = self._forward(module, features[module - 1])
            below = self._forward(module - 1, features[module - 2] if module > 1 else Node(self.batch.image))
            pair = self.network.run(self.parameters, module, below)
            if module == last:
                self._descend([(f"{module}/final/classifier", cross_entropy(alone, self.batch.label), weights["independent"])])
                self._descend([(f"{module}/final/classifier", cross_entropy(pair, self.batch.label), weights["cascade"])])
            else:
                self._descend(self._heads(module, "independent", alone, weights["independent"]))
                self._descend(self._heads(module, "cascade", pair, weights["cascade"]))
        return self.losses, self.gradients

    def _features(self):
        """Output of every module."""
        found = []
        for module in range(len(self.network.modules)):
            found.append(self.network.run(self.parameters, module, found[-1] if found else Node(self.batch.image)))
        return found

    def _forward(self, module, below):
        return self.network.run(self.parameters, module, cut(below))

    def _heads(self, module, level, features, weight):
        patches = self.recipe["local"]["patches"]
        return [
            (
                f"{module}/{level}/{head.kind}",
                head_loss(head, self.parameters, f"heads.{module}.{level}.{head.kind}", features, patches),
                weight * own,
            )
            for head, own in heads_of(self.recipe, self.network, self.batch, module, level)
        ]

    def _descend(self, terms):
        """Notes losses and adds the gradients of their weighted sum."""
        for name, loss, weight in terms:
            self.losses[name] = float(loss.value)
            self.losses["total"] += weight * float(loss.value)
            names = list(self.parameters.nodes)
            for key, found in zip(names, gradients(loss, weight, [self.parameters.nodes[key] for key in names])):
                self.gradients[key] = self.gradients.get(key, 0) + found


def sgd(config, parameters, gradients_found, velocities):
    """One update with Nesterov momentum, in place."""
    for name, at in parameters.nodes.items():
        gradient = gradients_found[name] + config["weightDecay"] * at.value
        velocities[name] = config["momentum"] * velocities.get(name, np.zeros(at.shape)) + gradient
        at.value = at.value - config["learningRate"] * (gradient + config["momentum"] * velocities[name])
