#!/usr/bin/env python3
"""Runs ONNX's own checker over model files, with strict inference of types and shapes through every operator.

    pip install onnx            # or Debian's python3-onnx
    python3 tools/check-onnx.py MODEL.onnx|FOLDER ...

A folder stands for all .onnx files in it and below. Prints a line for each file; exit code 1 if any is refused, 2 if there is
nothing to check. Graphs of the `blocked` lowering use operators that only ONNX Runtime knows; to them only the plain rules
apply, and strict inference is expected to refuse them.
"""
import sys
from pathlib import Path

import onnx


def model_files(arguments):
    for argument in map(Path, arguments):
        if argument.is_dir():
            yield from sorted(argument.rglob("*.onnx"))
        else:
            yield argument


def refusal(path):
    """Why the checker refuses a file; None if it takes it."""
    try:
        # By path, so that external data are found and models over 2 GiB can be checked.
        onnx.checker.check_model(str(path), full_check=True)
    except Exception as error:  # The checker raises several kinds, and protobuf its own.
        return " ".join(f"{type(error).__name__}: {error}".split())
    return None


def main():
    paths = list(model_files(sys.argv[1:]))
    if not paths:
        print("usage: check-onnx.py MODEL.onnx|FOLDER ... (no .onnx file given or found)", file=sys.stderr)
        sys.exit(2)
    refused = 0
    for path in paths:
        reason = refusal(path)
        refused += reason is not None
        print(f"{path}: {reason or 'ok'}")
    sys.exit(1 if refused else 0)


if __name__ == "__main__":
    main()
