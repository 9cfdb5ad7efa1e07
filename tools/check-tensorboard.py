#!/usr/bin/env python3
"""Reads a run folder's event files with TensorBoard's own reader and holds them against its metrics.jsonl.

usage: check-tensorboard.py RUN      (needs the package `tensorboard`)

Every scalar of every line must be there once, at its step, with its value in single precision, and nothing else. Prints a JSON
object; exit code 0 if all is right, 1 if not, 3 if TensorBoard is not installed.
"""
import json
import pathlib
import struct
import sys

try:
    from tensorboard.backend.event_processing import event_accumulator
except ImportError as error:
    print(f"TensorBoard is not installed: {error}", file=sys.stderr)
    sys.exit(3)


def single(value):
    """The value as a float32 holds it."""
    return struct.unpack("f", struct.pack("f", value))[0]


def expected_scalars(run):
    """tag -> [(step, value)], from metrics.jsonl."""
    scalars = {}

    def add(tag, step, value):
        if value is not None:
            scalars.setdefault(tag, []).append((step, single(value)))

    for line in (run / "metrics.jsonl").read_text().splitlines():
        event = json.loads(line)
        step = event["step"]
        if event["event"] == "step":
            add("loss/total", step, event["total"])
            for name, loss in event["losses"].items():
                add(f"loss/{name}", step, loss)
            add("learning_rate", step, event["learningRate"])
            add("speed/step_seconds", step, event["stepSeconds"])
            add("speed/images_per_second", step, event["imagesPerSecond"])
            add("memory/peak_bytes", step, event["peakBytes"])
            add("memory/resident_bytes", step, event["residentBytes"])
        else:
            add("test/accuracy", step, event["testAccuracy"])
            add("test/loss", step, event["testLoss"])
            add("train/accuracy", step, event.get("trainAccuracy"))
    return scalars


def read_scalars(run):
    accumulator = event_accumulator.EventAccumulator(str(run), size_guidance={event_accumulator.SCALARS: 0})
    accumulator.Reload()
    return {
        tag: [(each.step, each.value) for each in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]
    }


def main():
    run = pathlib.Path(sys.argv[1])
    expected, found = expected_scalars(run), read_scalars(run)
    # Shares of stages are worked out from their times; further scalars of the optimizer may be there.
    problems = [f"{tag}: not there" for tag in expected if tag not in found]
    for tag, values in found.items():
        steps = [step for step, _ in values]
        if steps != sorted(set(steps)):
            problems.append(f"{tag}: steps {steps}: not rising")
        if tag in expected and values != expected[tag]:
            problems.append(f"{tag}: found {values[:5]}…, expected {expected[tag][:5]}…")
    files = len(list(run.glob("events.out.tfevents.*")))
    print(json.dumps({"files": files, "tags": len(found), "values": sum(map(len, found.values())), "problems": problems}))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
