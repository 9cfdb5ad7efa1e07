/**
 * Patch feature fusion (PFF, HPFF section 3.3): a head works on an n × n grid of patches of the feature map, one patch after
 * another, so that the activations of one patch are alive at a time.
 *
 * `sum`: each patch has a loss of its own; they are added. Each patch is run forward and at once backward.
 * `mean`: the outputs are averaged and there is one loss. First every patch gives its output, keeping nothing else; then each
 * is computed anew and differentiated with the shared cotangent / n².
 *
 * A graph does not say in which order independent nodes run, so each patch's features are made to wait (`after`) for all that the patch before
 * it gives.
 */
import { InputError } from '../errors.js';
import { gradients } from '../grad/index.js';
import { add, addAll, after, concat, mul, staticDim, type Value } from '../graph/index.js';
import type { LayerContext } from '../nn/index.js';
import type { LocalConfig } from '../recipe/types.js';
import { cropPatch, type Head, type Patch } from './heads/head.js';

/** A head differentiated: its loss before weighting, and what flows back. */
export interface HeadResult {
  /** Shape []. */
  readonly loss: Value;
  /** Cotangent of the features: weight · ∂loss/∂features. */
  readonly cotangent: Value;
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
  if (!patches) return summed(head, features, weight, wholeMap(), () => context);
  const cells = gridOf(features, patches.grid);
  const contextOf = (index: number): LayerContext =>
    patches.weights === 'shared' ? context : inside(context, String(index));
  return patches.fuse === 'sum'
    ? summed(head, features, weight, cells, contextOf)
    : averaged(head, features, weight, cells, contextOf);
}

const wholeMap = (): readonly Patch[] => [{ grid: 1, row: 0, column: 0 }];

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

type ContextOf = (patch: number) => LayerContext;

function summed(
  head: Head,
  features: Value,
  weight: number,
  patches: readonly Patch[],
  contextOf: ContextOf,
): HeadResult {
  const gathered = new GradientSum();
  const losses: Value[] = [];
  let before: readonly Value[] = [];
  const cotangents = patches.map((patch, i) =>
    scopedPatch(contextOf(i), patches.length, i, (context) => {
      const cell = cropPatch(after(features, before), patch);
      const loss = head.loss(head.build(context, cell, patch.grid), [patch]);
      losses.push(loss);
      const result = gathered.backward(loss, features.graph.scalar(weight), cell, context);
      before = result.all;
      return result.cell;
    }),
  );
  return { loss: addAll(losses), cotangent: assemble(cotangents, patches), gradients: gathered.gradients };
}

function averaged(
  head: Head,
  features: Value,
  weight: number,
  patches: readonly Patch[],
  contextOf: ContextOf,
): HeadResult {
  const forward = (i: number, before: readonly Value[]): { cell: Value; output: Value; context: LayerContext } =>
    scopedPatch(contextOf(i), patches.length, i, (context) => {
      const cell = cropPatch(after(features, before), patches[i]!);
      return { cell, output: head.build(context, cell, patches[i]!.grid), context };
    });
  const outputs: Value[] = [];
  for (const i of patches.keys()) outputs.push(forward(i, outputs.slice(-1)).output);
  const fused = mul(addAll(outputs), 1 / patches.length);
  const loss = head.loss(fused, patches);
  const [fusedCotangent] = gradients([{ output: loss, cotangent: features.graph.scalar(weight) }], [fused]);
  const shared = mul(fusedCotangent!, 1 / patches.length);
  const gathered = new GradientSum();
  let before: readonly Value[] = [shared];
  const cotangents = patches.map((_, i) => {
    const { cell, output, context } = forward(i, before);
    const result = gathered.backward(output, shared, cell, context);
    before = result.all;
    return result.cell;
  });
  return { loss, cotangent: assemble(cotangents, patches), gradients: gathered.gradients };
}

/** Sums parameter gradients over patches that share weights. */
class GradientSum {
  readonly gradients = new Map<string, Value>();

  /** Differentiates one patch: the cotangent of its features, and all that this gives. */
  backward(output: Value, cotangent: Value, cell: Value, context: LayerContext): { cell: Value; all: Value[] } {
    const names = parametersIn(context);
    const parameters = names.map((name) => context.graph.inputs.get(name)!);
    const [cellCotangent, ...own] = gradients([{ output, cotangent }], [cell, ...parameters]);
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
  return [...context.store.specs.keys()].filter((name) => name.startsWith(`${context.path}.`));
}

const inside = (context: LayerContext, leaf: string): LayerContext => context.child(leaf, (child) => child);

/** Nodes of a patch carry its number in their scope. */
function scopedPatch<T>(context: LayerContext, count: number, index: number, build: (here: LayerContext) => T): T {
  const scope = count === 1 ? context.path : `${context.path}/patch${index}`;
  return context.graph.scoped(scope, () => build(context));
}

/** Puts the cotangents of all cells back into one map. */
function assemble(cells: readonly Value[], patches: readonly Patch[]): Value {
  const { grid } = patches[0]!;
  const rows = Array.from({ length: grid }, (_, row) => concat(cells.slice(row * grid, (row + 1) * grid), 3));
  return concat(rows, 2);
}
