#!/usr/bin/env python3
"""The PyTorch side of the checks in test/pytorch.test.ts and the maker of its fixture: the networks of recipes as PyTorch modules.

    apt-get install python3-torch python3-torchvision
    python3 tools/bridge/pytorch.py make RECIPE --weights W.safetensors --sample S.safetensors [--naming N] [--images N] [--seed N]
    python3 tools/bridge/pytorch.py run RECIPE --weights W.safetensors --sample S.safetensors [--naming N] -o LOGITS.safetensors

`make` draws every parameter and running statistic at random, saves the module's state dict, and saves random images with the logits that the
module gives for them in eval mode. `run` loads a state dict with strict=True and saves the logits of the images in a file. cifar-resnet is
written out here, under either naming; imagenet-resnet and vgg are torchvision's own.
"""
import argparse
import json
import math
import struct

import torch
from torch import nn

TYPES = {torch.float32: "F32", torch.int64: "I64"}


def save(path, tensors):
    """Writes a safetensors file (the format's own package is not in Debian)."""
    header, data = {}, b""
    for name, tensor in sorted(tensors.items(), key=lambda item: -item[1].element_size()):
        content = tensor.detach().contiguous().numpy().tobytes()
        header[name] = {"dtype": TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def load(path):
    """Reads a safetensors file of float32 and int64 tensors."""
    content = open(path, "rb").read()
    (length,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    header.pop("__metadata__", None)
    types = {name: dtype for dtype, name in TYPES.items()}
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        flat = torch.frombuffer(bytearray(data[begin:end]), dtype=types[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"])
    return tensors


def convolution_and_norm(names, inputs, outputs, kernel, stride):
    """A convolution without bias and its batch norm as submodules of these names, in this order."""
    module = nn.Sequential()
    module.add_module(names[0], nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False))
    module.add_module(names[1], nn.BatchNorm2d(outputs))
    return module


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride, shortcut_names):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        changes = stride != 1 or inputs != outputs
        self.downsample = convolution_and_norm(shortcut_names, inputs, outputs, 1, stride) if changes else None

    def forward(self, x):
        hidden = torch.relu(self.bn1(self.conv1(x)))
        shortcut = x if self.downsample is None else self.downsample(x)
        return torch.relu(self.bn2(self.conv2(hidden)) + shortcut)


class CifarResNet(nn.Module):
    """Depth 6n+2 (He et al. 2016, section 4.2), submodules named as torchvision's ResNets or as hpff's are."""

    def __init__(self, depth, widths, classes, image, naming):
        super().__init__()
        ours = naming == "hpff"
        stem, *stages = widths
        if ours:
            self.stem = convolution_and_norm(("conv", "bn"), image[0], stem, 3, 1)
        else:
            self.conv1 = nn.Conv2d(image[0], stem, 3, 1, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(stem)
        inputs = stem
        for stage, outputs in enumerate(stages):
            blocks = []
            for index in range((depth - 2) // 6):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(BasicBlock(inputs, outputs, stride, ("conv", "bn") if ours else ("0", "1")))
                inputs = outputs
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x):
        stem = self.stem if hasattr(self, "stem") else nn.Sequential(self.conv1, self.bn1)
        x = self.layer3(self.layer2(self.layer1(torch.relu(stem(x)))))
        return self.fc(x.mean(dim=(2, 3)))


def create(network, naming):
    """The module of a recipe's `network`."""
    kind = network["type"]
    if kind == "cifar-resnet":
        widths = network.get("widths", [16, 16, 32, 64])
        return CifarResNet(network["depth"], widths, network["classes"], network["image"], naming)
    if naming != "torchvision":
        raise SystemExit(f"{kind} is torchvision's own: --naming torchvision")
    import torchvision

    if kind == "vgg":
        return getattr(torchvision.models, f"vgg{network['depth']}_bn")(weights=None, num_classes=network["classes"])
    if network["image"][0] != 3:
        raise SystemExit("torchvision's ResNets take images of 3 channels")
    depth, groups, width = network["depth"], network.get("groups", 1), network.get("widthPerGroup", 64)
    kinds = {18: "BasicBlock", 34: "BasicBlock", 50: "Bottleneck", 101: "Bottleneck", 152: "Bottleneck"}
    layers = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}
    block = getattr(torchvision.models.resnet, kinds[depth])
    return torchvision.models.ResNet(block, layers[depth], network["classes"], groups=groups, width_per_group=width)


def randomize(module, seed):
    """Weights that keep signals alive, and statistics that are not those of a new module."""
    random = torch.Generator().manual_seed(seed)

    def draw(tensor):
        return torch.randn(tensor.shape, generator=random)

    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                layer.weight.copy_(draw(layer.weight) * math.sqrt(2 / layer.weight[0].numel()))
                if layer.bias is not None:
                    layer.bias.copy_(0.1 * draw(layer.bias))
            elif isinstance(layer, nn.BatchNorm2d):
                layer.weight.copy_(0.75 + 0.5 * torch.rand(layer.weight.shape, generator=random))
                layer.bias.copy_(0.2 * draw(layer.bias))
                layer.running_mean.copy_(0.2 * draw(layer.running_mean))
                layer.running_var.copy_(0.5 + torch.rand(layer.running_var.shape, generator=random))
                layer.num_batches_tracked.fill_(7)


def logits(module, images):
    module.eval()
    with torch.no_grad():
        return torch.cat([module(part) for part in images.split(64)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("task", choices=["make", "run"])
    parser.add_argument("recipe")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--sample", required=True, help="images `image`, float32 [N, C, H, W]; of `make` also `logits`")
    parser.add_argument("--naming", choices=["hpff", "torchvision"], default="torchvision")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", help="of `run`: file for `logits`")
    options = parser.parse_args()

    network = json.load(open(options.recipe))["network"]
    module = create(network, options.naming)
    if options.task == "make":
        randomize(module, options.seed)
        images = torch.randn([options.images, *network["image"]], generator=torch.Generator().manual_seed(options.seed))
        save(options.weights, module.state_dict())
        save(options.sample, {"image": images, "logits": logits(module, images)})
    else:
        module.load_state_dict(load(options.weights), strict=True)
        save(options.output, {"logits": logits(module, load(options.sample)["image"])})


if __name__ == "__main__":
    main()
