#!/usr/bin/env python3
"""Compares the operator table in src/onnx/operators.ts with the schemas of the Python package onnx.

    pip install onnx
    python3 tools/check-operators.py              # says what differs; exit code 1 if anything does
    python3 tools/check-operators.py Relu Conv    # prints the lines these operators should have

The table reaches from opset 13 to the opset that MAX_OPSET in operators.ts says; onnx must know at least that one.
"""
import re
import sys
from pathlib import Path

import onnx.defs
from onnx.defs import OpSchema

SOURCE = Path(__file__).parent.parent / "src/onnx/operators.ts"
OLDEST_OPSET = 13
VARIADIC = 2**31 - 1

TYPES = {
    OpSchema.AttrType.INT: "int",
    OpSchema.AttrType.FLOAT: "float",
    OpSchema.AttrType.STRING: "string",
    OpSchema.AttrType.INTS: "ints",
    OpSchema.AttrType.FLOATS: "floats",
    OpSchema.AttrType.STRINGS: "strings",
    OpSchema.AttrType.TENSOR: "tensor",
    OpSchema.AttrType.GRAPH: "graph",
    OpSchema.AttrType.SPARSE_TENSOR: "other",
    OpSchema.AttrType.TYPE_PROTO: "other",
}


def histories(max_opset):
    """Operator -> its schemas up to an opset, oldest first."""
    found = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "" and schema.since_version <= max_opset:
            found.setdefault(schema.name, []).append(schema)
    return {name: sorted(schemas, key=lambda s: s.since_version) for name, schemas in found.items()}


def introductions(schemas_of):
    """Words like 'Relu', 'Scatter/11' (deprecated in 11), by the version that introduced the operator."""
    found = {}
    for name, schemas in schemas_of.items():
        # An operator that came back counts as introduced when it did.
        living = [s for s in schemas if not s.deprecated]
        gone = [s.since_version for s in schemas if s.deprecated]
        last_gone = max(gone, default=0)
        returned = [s for s in living if s.since_version > last_gone]
        start = returned[0] if returned else living[0] if living else schemas[0]
        word = name if returned else f"{name}/{last_gone}"
        found.setdefault(start.since_version, set()).add(word)
    return found


def counts(least, most):
    if least == most:
        return str(least)
    return f"{least}-{'*' if most == VARIADIC else most}"


def signature(schema):
    attributes = (
        f"{name}{'!' if attribute.required else ''}:{TYPES[attribute.type]}"
        for name, attribute in sorted(schema.attributes.items())
    )
    inputs = counts(schema.min_input, schema.max_input)
    outputs = counts(schema.min_output, schema.max_output)
    return " ".join([inputs, ">", outputs, *attributes])


def lines(name, schemas):
    """A line for each opset from OLDEST_OPSET on at which the signature of an operator changes."""
    found = []
    for schema in schemas:
        line = signature(schema)
        if schema.deprecated or (found and found[-1][1] == line):
            continue
        found.append((schema.since_version, line))
    first = max([i for i, (since, _) in enumerate(found) if since <= OLDEST_OPSET], default=0)
    return [f"{name} {since} {line}" for since, line in found[first:]]


def table(source, name):
    """The words or lines of a table in operators.ts."""
    text = re.search(rf"const {name} = `(.*?)`", source, re.S).group(1)
    return [line.strip() for line in text.splitlines() if line.strip()]


def main():
    source = SOURCE.read_text()
    max_opset = int(re.search(r"MAX_OPSET = (\d+)", source).group(1))
    if onnx.defs.onnx_opset_version() < max_opset:
        sys.exit(f"onnx {onnx.__version__} knows opset {onnx.defs.onnx_opset_version()}; the table needs {max_opset}")
    schemas_of = histories(max_opset)
    if sys.argv[1:]:
        for name in sys.argv[1:]:
            print("\n".join(lines(name, schemas_of[name])))
        return
    differences = []
    expected = introductions(schemas_of)
    found = {}
    for version, *words in map(str.split, table(source, "INTRODUCED")):
        found.setdefault(int(version), set()).update(words)
    for version in sorted(expected.keys() | found.keys()):
        missing = expected.get(version, set()) - found.get(version, set())
        wrong = found.get(version, set()) - expected.get(version, set())
        differences += [f"INTRODUCED {version}: lacks {word}" for word in sorted(missing)]
        differences += [f"INTRODUCED {version}: should not have {word}" for word in sorted(wrong)]
    signatures = table(source, "SIGNATURES")
    for name in sorted({line.split()[0] for line in signatures}):
        should = lines(name, schemas_of[name])
        has = [line for line in signatures if line.split()[0] == name]
        differences += [f"SIGNATURES: lacks {line}" for line in should if line not in has]
        differences += [f"SIGNATURES: should not have {line}" for line in has if line not in should]
    print("\n".join(differences) or f"{SOURCE.name} agrees with onnx {onnx.__version__} up to opset {max_opset}")
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
