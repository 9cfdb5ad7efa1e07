"""Compares artifacts of `hpff build --lowering ort-training` with those that ONNX Runtime's own generator writes for the same forward graphs.

    python -m venv /tmp/ort && /tmp/ort/bin/pip install onnxruntime-training-cpu==1.19.2 onnx==1.16.2 'numpy<2'
    hpff build RECIPE --lowering ort-training -o DIR
    /tmp/ort/bin/python tools/ort-training/compare-artifacts.py DIR

For each module the forward graph is its evaluation model with batch norms in training mode; under HiLo the relay enters its loss as the sum of relay x output, whose
gradient it is. Compared are the names and shapes of inputs and outputs, the tensors of the checkpoints, and the parameters after one train step and one
optimizer step from the same inputs, in ONNX Runtime's own training session.
"""
import argparse
import json
import os
import sys
import tempfile
import types

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

# The package's own __init__ wants PyTorch, which nothing here does.
package = types.ModuleType("onnxruntime.training")
package.__path__ = [os.path.join(os.path.dirname(onnxruntime.__file__), "training")]
sys.modules["onnxruntime.training"] = package

from onnxruntime.training import artifacts  # noqa: E402
from onnxruntime.training.api import CheckpointState, Module, Optimizer  # noqa: E402


def types_of(values):
    """Name and shape of each; sequences and values of unknown shape have none."""
    def shape(value):
        tensor = value.type.tensor_type
        return tuple(d.dim_value or d.dim_param for d in tensor.shape.dim) if tensor.HasField("shape") else None
    return {value.name: shape(value) for value in values}


def forward_model(folder, parameters, relay):
    """The evaluation model with its parameters as initializers and batch norms in training mode."""
    model = onnx.load(os.path.join(folder, "eval_model.onnx"))
    graph = model.graph
    user = [value for value in graph.input if value.name not in parameters]
    del graph.input[:]
    graph.input.extend(user)
    read = {name for node in graph.node for name in node.input}
    graph.initializer.extend(numpy_helper.from_array(data, name) for name, data in parameters.items() if name in read)
    for node in graph.node:
        if node.op_type == "BatchNormInternal":  # of heads
            node.op_type, node.domain = "BatchNormalization", ""
            del node.output[3:]
        if node.op_type == "BatchNormalization" and node.input[3].endswith("running_mean"):
            node.attribute.append(helper.make_attribute("training_mode", 1))
            node.output.extend([node.input[3] + ".out", node.input[4] + ".out"])
    if relay is not None:
        feature = next(value for value in graph.output if value.name.startswith("feature/"))
        graph.input.append(helper.make_tensor_value_info(relay, TensorProto.FLOAT, types_of([feature])[feature.name]))
        for node in graph.node:
            node.output[:] = ["own_loss" if name == "loss" else name for name in node.output]
        graph.node.append(helper.make_node("Mul", [relay, feature.name], ["relay_product"]))
        axes = numpy_helper.from_array(np.arange(4, dtype=np.int64), "all_axes")
        graph.initializer.append(axes)
        graph.node.append(helper.make_node("ReduceSum", ["relay_product", "all_axes"], ["relay_loss"], keepdims=0))
        graph.node.append(helper.make_node("Add", ["own_loss", "relay_loss"], ["loss"]))
    unshare_constants(graph, parameters)
    outputs = [value for value in graph.output if value.name == "loss"]
    del graph.output[:]
    graph.output.extend(outputs)
    return model


def unshare_constants(graph, parameters):
    """Gives each use of a constant one of its own: the generator names the gradients of shared ones twice."""
    constants = {each.name: each for each in graph.initializer if each.name not in parameters}
    nodes = []
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name not in constants:
                continue
            own = f"{name}.{len(nodes)}"
            value = numpy_helper.from_array(numpy_helper.to_array(constants[name]), own)
            nodes.append(helper.make_node("Constant", [], [own], value=value))
            node.input[i] = own
        nodes.append(node)
    kept = [each for each in graph.initializer if each.name not in constants]
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)


def reaching_loss(graph):
    """Names that the loss depends on: heads of weight 0 are not among them."""
    found = {"loss"}
    for node in reversed(graph.node):
        if found & set(node.output):
            found |= set(node.input)
    return found


def random_inputs(values, classes):
    generator = np.random.default_rng(1)
    def draw(value, shape):
        if value.type.tensor_type.elem_type == TensorProto.INT64:
            return generator.integers(0, classes, shape)
        scale = 1e-3 if value.name.startswith("relay/") else 1
        return (generator.standard_normal(shape) * scale).astype(np.float32)
    return {value.name: draw(value, types_of([value])[value.name]) for value in values}


def stepped(folder, inputs):
    """Parameters after one train step and one optimizer step, by name."""
    state = CheckpointState.load_checkpoint(os.path.join(folder, "checkpoint"))
    # Without the evaluation model: the generator leaves batch norms there that do not load.
    module = Module(os.path.join(folder, "training_model.onnx"), state)
    optimizer = Optimizer(os.path.join(folder, "optimizer_model.onnx"), module)
    module.train()
    module(*[inputs[name] for name in module.input_names()])
    optimizer.step()
    return {name: np.array(parameter.data) for name, parameter in state.parameters}


def compare(ours, theirs, what, problems, ours_only=(), open_shapes=()):
    for name, shape in theirs.items():
        if name not in ours:
            problems.append(f"{what}: only theirs has {name}")
        elif ours[name] != shape and shape is not None and name not in open_shapes:
            problems.append(f"{what}: {name} is {ours[name]}, theirs {shape}")
    for name in ours:
        if name not in theirs and not name.endswith(".updated") and not name.startswith(ours_only or ("\0",)):
            problems.append(f"{what}: only ours has {name}")
    order = [name for name in ours if name in theirs]
    if order != [name for name in theirs if name in ours]:
        problems.append(f"{what}: the order differs")


def compare_module(folder, optimizer, classes):
    problems = []
    state = CheckpointState.load_checkpoint(os.path.join(folder, "checkpoint"))
    parameters = {name: np.array(parameter.data) for name, parameter in state.parameters}
    trained = [name for name, parameter in state.parameters if parameter.requires_grad]
    training = onnx.load(os.path.join(folder, "training_model.onnx")).graph
    order = [value.name for value in training.input]
    parameters = {name: parameters[name] for name in sorted(parameters, key=order.index)}
    trained.sort(key=order.index)
    relay = next((name for name in order if name.startswith("relay/")), None)
    model = forward_model(folder, parameters, relay)
    present = reaching_loss(model.graph)
    if not present & set(trained):
        return None, None  # such as the first module where the cascade heads of its neighbour weigh nothing
    kind = artifacts.OptimType.AdamW if optimizer["type"] == "adamw" else artifacts.OptimType.SGD
    inputs = random_inputs([value for value in training.input if value.name not in parameters and "accumulation" not in value.name and value.name != "lazy_reset_grad"], classes)
    with tempfile.TemporaryDirectory() as theirs:
        artifacts.generate_artifacts(
            model,
            requires_grad=[name for name in trained if name in present],
            frozen_params=[name for name in parameters if name in present and name not in trained],
            optimizer=kind,
            artifact_directory=theirs,
        )
        load = lambda where, name: onnx.load(os.path.join(where, name)).graph
        pairs = [(name, load(folder, name), load(theirs, name)) for name in ("training_model.onnx", "eval_model.onnx", "optimizer_model.onnx")]
        # SGD's momentum is part of our training model; what modules hand to each other, and losses one by one, are more outputs.
        more = ("momentum/", "loss/", "feature/", "relay/", "logits")
        unread = tuple(name for name in trained if name not in present)
        for name, mine, other in pairs:
            given = types_of(other.input)
            if name == "eval_model.onnx":
                given.pop(relay, None)  # of the loss made up above
            compare(types_of(mine.input), given, f"inputs of {name}", problems, more + unread)
            renamed = {"updated_flag" if "optimizer" in name else key: shape for key, shape in types_of(other.output).items()}
            compare(types_of(mine.output), renamed, f"outputs of {name}", problems, more + unread, ("updated_flag",))
        others = CheckpointState.load_checkpoint(os.path.join(theirs, "checkpoint"))
        shapes = lambda items: {name: tuple(np.shape(parameter.data)) for name, parameter in items}
        compare(dict(sorted(shapes(state.parameters).items())), dict(sorted(shapes(others.parameters).items())), "checkpoint", problems, more + unread)
        numbers = numeric_difference(folder, theirs, inputs, optimizer, [name for name in trained if name in present])
    return problems, numbers


def numeric_difference(folder, theirs, inputs, optimizer, names):
    """Largest distance between a parameter's updates, by the length of theirs; None where optimizers differ by design."""
    if optimizer["type"] == "sgd" and (optimizer["momentum"] or optimizer["weightDecay"]):
        return None
    if optimizer["type"] == "adamw":  # the generator's defaults are others
        node = (model := onnx.load(os.path.join(folder, "optimizer_model.onnx"))).graph.node[0]
        onnx.save(model, os.path.join(theirs, "optimizer_model.onnx"))
        assert node.op_type == "AdamWOptimizer"
    mine, other = stepped(folder, inputs), stepped(theirs, inputs)
    before = CheckpointState.load_checkpoint(os.path.join(folder, "checkpoint"))
    if not any(np.any(mine[name] != parameter.data) for name, parameter in before.parameters):
        sys.exit(f"{folder}: the step changed nothing")
    return max((np.linalg.norm(mine[name] - other[name]) / max(np.linalg.norm(other[name]), 1e-30), name) for name in names)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", help="artifact folder of hpff build --lowering ort-training")
    folder = parser.parse_args().folder
    onnxruntime.set_default_logger_severity(4)
    with open(os.path.join(folder, "manifest.json")) as file:
        manifest = json.load(file)
    recipe = manifest["recipe"]
    failed = False
    for name in sorted(os.listdir(os.path.join(folder, "modules"))):
        problems, numbers = compare_module(os.path.join(folder, "modules", name), recipe["optimizer"], recipe["network"]["classes"])
        if problems is None:
            print(f"module {name}: no loss reaches its parameters; not compared")
            continue
        failed |= bool(problems)
        step = "steps not compared: ONNX Runtime's SGD has no momentum" if numbers is None else f"after a step {numbers[0]:.1e} apart at most ({numbers[1]})"
        print(f"module {name}: {'names and shapes agree' if not problems else str(len(problems)) + ' differences'}; {step}")
        for problem in problems:
            print(f"  {problem}")
    sys.exit(1 if failed else 0)


main()
