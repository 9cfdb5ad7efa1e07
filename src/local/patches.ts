/**
 * Patch feature fusion (PFF, HPFF section 3.3): a head works on an n × n grid of patches of the feature map, one patch after
 * another, so that the activations of one patch are alive at a time.
 *
 * `sum`: each patch has a loss of its own; they are added. Each patch is run forward and at once backward.
 * `mean`: the outputs are averaged and there is one loss. First every patch gives its output, keeping nothing else; then each
 * is computed anew and differentiated with the shared cotangent / n².
 *
 * A head of weight 0 is run forward only: its loss is reported, its parameters have gradient 0, and nothing flows back.
 *
 * A graph does not say in which order independent nodes run, so each patch's features are made to wait (`after`) for all that the patch before
 * it gives.
 */
import { InputError } from '../errors.js';
import { gradients } from '../grad/index.js';
import { add, addAll, after, concat, mul, staticDim, type Value, zerosLike } from '../graph/index.js';
import type { LayerContext } from '../nn/index.js';
import type { LocalConfig } from '../recipe/types.js';
import { cropPatch, type Head, type Patch } from './heads/head.js';

/** A head differentiated: its loss before weighting, and what flows back. */
export interface HeadResult {
  /** Shape []. */
  readonly loss: Value;
  /** Cotangent of the features: weight · ∂loss/∂features; null where it is 0. */
  readonly cotangent: Value | null;
  /** weight · ∂loss/∂parameter, by parameter name. */
  readonly gradients: ReadonlyMap<string, Value>;
}

/**
 * Runs a head forward and backward on `features`.
 *
 * @param context where the head's parameters live
 * @param weight of the loss in the total
 * @param patches null: the head sees the whole map
 */
export function runHead(
  head: Head,
  context: LayerContext,
  features: Value,
  weight: number,
  patches: LocalConfig['patches'],
): HeadResult {
  const contextOf = (index: number): LayerContext =>
    !patches || patches.weights === 'shared' ? context : inside(context, String(index));
  const cells = patches ? gridOf(features, patches.grid) : wholeMap;
  const run = new PatchRun(head, features, cells, contextOf);
  const fuse = patches?.fuse ?? 'sum';
  if (weight === 0) return observed(run, fuse);
  return fuse === 'sum' ? summed(run, weight) : averaged(run, weight);
}

const wholeMap: readonly Patch[] = [{ grid: 1, row: 0, column: 0 }];

/** Cells row by row. @throws InputError where the map does not divide */
function gridOf(features: Value, grid: number): readonly Patch[] {
  const size = [staticDim(features.shape, 2), staticDim(features.shape, 3)];
  if (size.some((side) => side % grid !== 0)) {
    throw new InputError(
      'PATCHES_MAP_SIZE',
      `local.patches.grid: found ${grid}, allowed: a divisor of the feature maps, of which one is ${size.join(' × ')}`,
    );
  }
  return Array.from({ length: grid * grid }, (_, i) => ({ grid, row: Math.floor(i / grid), column: i % grid }));
}

/** A head on the patches of a map. */
class PatchRun {
  constructor(
    readonly head: Head,
    readonly features: Value,
    readonly patches: readonly Patch[],
    private readonly contextOf: (index: number) => LayerContext,
  ) {}

  /** Nodes made by `build` carry the patch's number in their scope. */
  at<T>(index: number, build: (context: LayerContext, patch: Patch) => T): T {
    const context = this.contextOf(index);
    const scope = this.patches.length === 1 ? context.path : `${context.path}/patch${index}`;
    return context.graph.scoped(scope, () => build(context, this.patches[index]!));
  }

  /** A patch and the head's output for it, computed after `before`. */
  forward(index: number, before: readonly Value[]): { cell: Value; output: Value; context: LayerContext } {
    return this.at(index, (context, patch) => {
      const cell = cropPatch(after(this.features, before), patch);
      return { cell, output: this.head.build(context, cell, patch.grid), context };
    });
  }

  /** Loss of one patch's output. */
  loss(index: number, output: Value): Value {
    return this.at(index, (_, patch) => this.head.loss(output, [patch]));
  }

  /** Mean of all outputs, and its loss. */
  meanLoss(outputs: readonly Value[]): { mean: Value; loss: Value } {
    const mean = mul(addAll(outputs), 1 / outputs.length);
    return { mean, loss: this.head.loss(mean, this.patches) };
  }
}

function observed(run: PatchRun, fuse: 'sum' | 'mean'): HeadResult {
  const { graph } = run.features;
  const outputs: Value[] = [];
  const zeros = new Map<string, Value>();
  for (const index of run.patches.keys()) {
    const { output, context } = run.forward(index, outputs.slice(-1));
    outputs.push(output);
    for (const name of parametersIn(context)) zeros.set(name, zerosLike(graph.inputs.get(name)!));
  }
  const loss = fuse === 'sum' ? addAll(outputs.map((output, i) => run.loss(i, output))) : run.meanLoss(outputs).loss;
  return { loss, cotangent: null, gradients: zeros };
}

function summed(run: PatchRun, weight: number): HeadResult {
  const { graph } = run.features;
  const gathered = new GradientSum();
  const losses: Value[] = [];
  let before: readonly Value[] = [];
  const cotangents = run.patches.map((_, i) => {
    const { cell, output, context } = run.forward(i, before);
    const loss = run.loss(i, output);
    losses.push(loss);
    const result = run.at(i, () => gathered.backward(loss, graph.scalar(weight), cell, context));
    before = result.all;
    return result.cell;
  });
  return { loss: addAll(losses), cotangent: assemble(cotangents, run.patches), gradients: gathered.gradients };
}

function averaged(run: PatchRun, weight: number): HeadResult {
  const { graph } = run.features;
  const outputs: Value[] = [];
  for (const i of run.patches.keys()) outputs.push(run.forward(i, outputs.slice(-1)).output);
  const { mean, loss } = run.meanLoss(outputs);
  const [meanCotangent] = gradients([{ output: loss, cotangent: graph.scalar(weight) }], [mean]);
  const shared = mul(meanCotangent!, 1 / outputs.length);
  const gathered = new GradientSum();
  let before: readonly Value[] = [shared];
  const cotangents = run.patches.map((_, i) => {
    const { cell, output, context } = run.forward(i, before);
    const result = run.at(i, () => gathered.backward(output, shared, cell, context));
    before = result.all;
    return result.cell;
  });
  return { loss, cotangent: assemble(cotangents, run.patches), gradients: gathered.gradients };
}

/** Sums parameter gradients over patches that share weights. */
class GradientSum {
  readonly gradients = new Map<string, Value>();

  /** Differentiates one patch: the cotangent of its features, and all that this gives. */
  backward(output: Value, cotangent: Value, cell: Value, context: LayerContext): { cell: Value; all: Value[] } {
    const names = parametersIn(context);
    const parameters = names.map((name) => context.graph.inputs.get(name)!);
    const [cellCotangent, ...own] = gradients([{ output, cotangent }], [cell, ...parameters], 'zeros');
    const sums = names.map((name, i) => {
      const known = this.gradients.get(name);
      const sum = known ? add(known, own[i]!) : own[i]!;
      this.gradients.set(name, sum);
      return sum;
    });
    return { cell: cellCotangent!, all: [cellCotangent!, ...sums] };
  }
}

/** Names of the parameters that live below a context. */
function parametersIn(context: LayerContext): string[] {
  return context.store.below(context.path).map(({ name }) => name);
}

const inside = (context: LayerContext, leaf: string): LayerContext => context.child(leaf, (child) => child);

/** Puts the cotangents of all cells back into one map. */
function assemble(cells: readonly Value[], patches: readonly Patch[]): Value {
  const { grid } = patches[0]!;
  const rows = Array.from({ length: grid }, (_, row) => concat(cells.slice(row * grid, (row + 1) * grid), 3));
  return concat(rows, 2);
}
