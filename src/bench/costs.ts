/**
 * What each operator of a step costs, and where it belongs: from the profiles of a step's tasks to one cost per ONNX node, with its module, phase and layer.
 *
 * A node's name says where it comes from: `[<module>/<phase>/]<scope>/<operator>[_<i>]`, where the scope is made of names of layers.
 */
import { RunError } from '../errors.js';
import type { Phase } from '../local/index.js';
import type { TaskProfile } from '../pipeline/index.js';
import type { HeadKind } from '../recipe/types.js';
import type { NodeProfile } from '../runtime/runtime.js';
import { median } from './median.js';

/** What a node is for. `heads.other`: what joins a module's heads, and the loss of the network's own classifier. */
export type Part = 'trunk' | `heads.${HeadKind}` | 'heads.other' | 'optimizer';

export interface Place {
  readonly module: number;
  readonly phase: Phase;
  readonly part: Part;
  /** Path of the layer, e.g. `layer1.0.conv1` or `heads.3.cascade.decoder.0.conv1`; of the parameter, for the optimizer; may be ''. */
  readonly layer: string;
}

/** One ONNX node. */
export interface NodeCost extends Place {
  /** Of the node, as in the graph. */
  readonly node: string;
  /** With its domain, where that is not ONNX's own: `Conv`, `nchwc.Conv`. */
  readonly operator: string;
  /** Of its outputs, e.g. `float[128,16,32,32]`. */
  readonly outputs: readonly string[];
  /** In its kernel: median of the steps. */
  readonly seconds: number;
}

export interface StepCosts {
  /** In the order in which they run. */
  readonly nodes: readonly NodeCost[];
  /** In all runs of a step, kernels and what ONNX Runtime does between them: median of the steps. */
  readonly runSeconds: number;
}

/**
 * @param tasks of one schedule; a task without module must name its nodes after module and phase
 * @param warmup steps at the beginning that do not count
 * @throws RunError for a node whose task is unknown, and where the steps do not run the same nodes
 */
export function stepCosts(tasks: readonly TaskProfile[], warmup: number): StepCosts {
  const measured = tasks.map(({ task, runs }) => ({ task, runs: runs.slice(warmup) }));
  const steps = measured[0]?.runs.length ?? 0;
  if (steps === 0 || measured.some(({ runs }) => runs.length !== steps)) {
    throw new RunError('PROFILE_INCOMPLETE', `profile: not all tasks have run in every one of ${steps} measured steps`);
  }
  const seconds = Array.from({ length: steps }, (_, step) =>
    measured.reduce((sum, { runs }) => sum + runs[step]!.seconds, 0),
  );
  return { nodes: measured.flatMap(taskCosts), runSeconds: median(seconds) };
}

function taskCosts({ task, runs }: TaskProfile): NodeCost[] {
  const found = new Map<string, NodeProfile[]>();
  for (const node of runs.flatMap(({ nodes }) => nodes)) {
    const known = found.get(node.name);
    if (known) known.push(node);
    else found.set(node.name, [node]);
  }
  return [...found].map(([name, times]) => {
    if (times.length !== runs.length) {
      throw new RunError(
        'PROFILE_INCOMPLETE',
        `profile: ${task.file} ran ${name} ${times.length} times in ${runs.length} steps`,
      );
    }
    const { opType, outputs } = times[0]!;
    const seconds = median(times.map((node) => node.seconds));
    return { node: name, operator: operatorOf(name, opType), outputs, seconds, ...placeOf(name, task) };
  });
}

/**
 * Where a node belongs.
 * @param task whose graph it is in; `module` is null where that covers all modules
 * @throws RunError where neither its name nor its graph tells module and phase
 */
export function placeOf(node: string, task: Pick<TaskProfile['task'], 'file' | 'module' | 'phase'>): Place {
  const [, module = task.module, phase = task.phase, scope = ''] = NODE.exec(node)!;
  if (module === null || !isPhase(phase)) {
    throw new RunError('PROFILE_NODE', `profile: node '${node}' of ${task.file} names no module and phase`);
  }
  const layer = layerOf(scope);
  return { module: Number(module), phase, part: partOf(scope, layer, phase), layer };
}

/** The domain stands in the names of nodes only. */
function operatorOf(node: string, opType: string): string {
  const named = node.slice(node.lastIndexOf('/') + 1).replace(/_\d+$/, '');
  return named.endsWith(`.${opType}`) ? named : opType;
}

/** Module and phase, scope, operator. */
const NODE = /^(?:(\d+)\/([a-z]+)\/)?(?:(.*)\/)?[^/]*$/;

const PHASES: readonly string[] = ['forward', 'heads', 'relay', 'update'] satisfies readonly Phase[];

const isPhase = (name: string | undefined): name is Phase => name !== undefined && PHASES.includes(name);

/** A gradient made within a scope repeats it, and patches have a scope of their own beside the number in the layer's name. */
function layerOf(scope: string): string {
  const segments = scope.split('/').filter((segment) => !/^(?:optimizer|output|patch\d+)$/.test(segment));
  const start = segments.findLastIndex((segment) => segment.startsWith('heads.'));
  return segments.slice(Math.max(start, 0)).join('.');
}

function partOf(scope: string, layer: string, phase: Phase): Part {
  if (scope.startsWith('optimizer/')) return 'optimizer';
  const head = /^heads\.\d+\.[a-z]+\.(classifier|decoder|similarity)/.exec(layer)?.[1] as HeadKind | undefined;
  if (head) return `heads.${head}`;
  return phase === 'heads' ? 'heads.other' : 'trunk';
}
