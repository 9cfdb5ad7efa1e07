#!/usr/bin/env python3
"""Plain back-propagation in PyTorch: step time and peak memory of a CIFAR ResNet on one random batch.

The network is that of He et al. 2016, section 4.2, with projection shortcuts, as `cifar-resnet` in src/networks; the optimizer is SGD with Nesterov
momentum. Prints one JSON line. With --interactive a line is printed when the network stands ({"kind": "ready", …}); from then on each line read is
answered by one: `step` by the seconds of one training step, `finish` by the peak memory. So steps can alternate with those of other processes.
"""
import argparse
import json
import re
import statistics
import sys
import time

try:
    import torch
    from torch import nn
    from torch.nn import functional
except ImportError:
    sys.exit("torch-step.py: PyTorch is not installed; on Debian: apt-get install python3-torch")

WIDTHS = (16, 32, 64)


class BasicBlock(nn.Module):
    """conv3x3-BN-ReLU-conv3x3-BN + shortcut, ReLU; the shortcut is conv1x1-BN where the shape changes."""

    def __init__(self, channels: int, width: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None
        if stride != 1 or channels != width:
            self.downsample = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += x if self.downsample is None else self.downsample(x)
        return self.relu(y)


class CifarResNet(nn.Module):
    """[N, 3, 32, 32] images to [N, classes] scores; depth 6n+2."""

    def __init__(self, depth: int, classes: int):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False), nn.BatchNorm2d(WIDTHS[0]), nn.ReLU(inplace=True))
        blocks, channels = [], WIDTHS[0]
        for stage, width in enumerate(WIDTHS):
            for index in range((depth - 2) // 6):
                blocks.append(BasicBlock(channels, width, 2 if stage > 0 and index == 0 else 1))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        return self.fc(self.blocks(self.stem(x)).mean((2, 3)))


class Bench:
    """One network, one batch. Builds both, and measures from before the network on."""

    def __init__(self, depth: int, batch: int, classes: int, memory_format: torch.memory_format):
        torch.manual_seed(0)
        self.image = torch.randn(batch, 3, 32, 32).contiguous(memory_format=memory_format)
        self.label = torch.arange(batch) % classes
        self.start_peak = resident_bytes("VmHWM")
        reset_peak()
        self.base = resident_bytes("VmRSS")
        started = time.perf_counter()
        self.model = CifarResNet(depth, classes).to(memory_format=memory_format).train()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=1e-4)
        self.open_seconds = time.perf_counter() - started
        self.loss = float("nan")

    def step(self) -> float:
        """One training step; returns its seconds."""
        started = time.perf_counter()
        self.optimizer.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(self.model(self.image), self.label)
        loss.backward()
        self.optimizer.step()
        self.loss = loss.item()
        return time.perf_counter() - started

    def parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters())

    def memory(self) -> dict:
        """Bytes. Weights are parameters, their momentum and running statistics."""
        tensors = [*self.model.parameters(), *self.model.parameters(), *self.model.buffers()]
        peak = resident_bytes("VmHWM")
        return {
            "peakBytes": peak - self.base,
            "weightBytes": sum(t.numel() * t.element_size() for t in tensors),
            "processPeakBytes": max(peak, self.start_peak),
        }


def resident_bytes(field: str) -> int:
    """A field of /proc/self/status."""
    try:
        status = open("/proc/self/status")
    except OSError:
        sys.exit("torch-step.py: /proc/self/status: cannot be read; peak memory is measured on Linux only")
    with status:
        return 1024 * int(re.search(field + r":\s+(\d+)", status.read()).group(1))


def reset_peak() -> None:
    """Makes the kernel forget the peak so far."""
    with open("/proc/self/clear_refs", "w") as clear:
        clear.write("5")


def answer(kind: str, **fields) -> None:
    print(json.dumps({"kind": kind, **fields}), flush=True)


def converse(bench: Bench) -> None:
    """Steps when told to by a line on standard input."""
    answer("ready", openSeconds=bench.open_seconds, parameters=bench.parameters(), version=torch.__version__)
    for line in sys.stdin:
        command = line.strip()
        if command == "step":
            answer("stepped", seconds=bench.step())
        elif command == "finish":
            answer("finished", **bench.memory())
            return
        else:
            sys.exit(f"torch-step.py: command '{command}' on standard input; allowed are step and finish")


def measure(bench: Bench, steps: int) -> None:
    """Some steps after one that is not counted, and their times."""
    bench.step()
    cpu = time.process_time()
    times = [bench.step() for _ in range(steps)]
    cpu = (time.process_time() - cpu) / steps
    answer(
        "result",
        stepSeconds={"min": min(times), "median": statistics.median(times), "max": max(times)},
        cpuSeconds=cpu,
        loss=bench.loss,
        parameters=bench.parameters(),
        version=torch.__version__,
        **bench.memory(),
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Step time and peak memory of a CIFAR ResNet under plain back-propagation in PyTorch.")
    parser.add_argument("--depth", type=int, default=32, help="6n+2")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=5, help="counted ones; one more comes before them")
    parser.add_argument("--channels-last", action="store_true", help="keep images and activations as [N, H, W, C] in memory")
    parser.add_argument("--interactive", action="store_true", help="take commands from standard input")
    options = parser.parse_args()
    if options.depth < 8 or options.depth % 6 != 2:
        parser.error(f"--depth {options.depth}: allowed are 8, 14, 20, …")
    for name in ("batch", "threads", "steps"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} {getattr(options, name)}: at least 1")
    return options


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    memory_format = torch.channels_last if options.channels_last else torch.contiguous_format
    bench = Bench(options.depth, options.batch, options.classes, memory_format)
    if options.interactive:
        converse(bench)
    else:
        measure(bench, options.steps)


main()
