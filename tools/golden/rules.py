"""Local rules: the heads of a module on the independent and on the cascade level, with their weights."""
from heads import BlockClassifier, ConvClassifier, Decoder, DglClassifier, Similarity


def heads_of(recipe, network, batch, module, level):
    """[(head, weight)]"""
    return RULES[recipe["local"]["rule"]](recipe["local"], network, batch, module, level)


def _position(network, module):
    """0 at the first module, 1 at the last that has heads."""
    return module / (len(network.modules) - 2)


def _weight(local, kind, position):
    first, last = local["lambda"][kind]
    return first + (last - first) * position


def _dgl(local, network, batch, module, level):
    return [(DglClassifier(local["classifier"], batch.label, network.classes), 1)]


def _infopro(local, network, batch, module, level):
    classifier = ConvClassifier(local["classifier"], batch.label, network.classes)
    if level == "independent":
        return [(classifier, 1)]
    position = _position(network, module)
    decoder = Decoder(local["decoder"]["widen"], batch.pixels)
    return [(decoder, _weight(local, "decoder", position)), (classifier, _weight(local, "classifier", position))]


def _predsim(local, network, batch, module, level):
    position = _position(network, module)
    return [
        (Similarity(batch.label, network.classes), _weight(local, "similarity", position)),
        (ConvClassifier(local["classifier"], batch.label, network.classes), _weight(local, "classifier", position)),
    ]


def _auglocal(local, network, batch, module, level):
    config = local["auglocal"]
    most = config["depth"]
    depth = int(most - config["coefficient"] * _position(network, module) * (most - 1) + 0.5)
    later = network.blocks[network.modules[module].stop :]
    depth = min(depth, len(later))
    picks = [int((i + 1) * len(later) / depth + 0.5) - 1 for i in range(depth)]
    blocks, owed, start = [], 0, 0
    for pick in picks:
        # Halvings of the network that the head has yet to make, one a block.
        owed += sum(halves for _, _, halves in later[start : pick + 1])
        start = pick + 1
        blocks.append((later[pick][1], owed > 0))
        owed = max(0, owed - 1)
    return [(BlockClassifier(blocks, batch.label, network.classes), 1)]


RULES = {"dgl": _dgl, "infopro": _infopro, "predsim": _predsim, "auglocal": _auglocal}
