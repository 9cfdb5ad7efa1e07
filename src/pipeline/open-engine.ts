/** From a recipe to an engine that is ready for weights: builds the graphs, starts the runtime, loads the sessions. */
import { availableParallelism } from 'node:os';
import { buildGraphs, buildSharedGraphs, type Manifest } from '../artifacts/index.js';
import { InputError } from '../errors.js';
import { buildStep, moduleCosts } from '../local/index.js';
import type { Lowering } from '../lower/index.js';
import type { Recipe } from '../recipe/types.js';
import { parseDevice } from '../runtime/device.js';
import { createNativeRuntime } from '../runtime/native/index.js';
import type { Runtime } from '../runtime/runtime.js';
import { balance, measureModules, memoryCosts } from './balance.js';
import { chooseLowering, type LoweringChoice } from './choose-lowering.js';
import type { TrainEngine } from './engine.js';
import type { TraceEvent } from './orchestrator.js';
import { PipelineEngine } from './pipeline-engine.js';
import { collectGarbage } from './process-memory.js';
import { StepEngine } from './step-engine.js';

/** Schedules by which all modules advance together: what graphs are built for. */
export const stepScheduleNames = ['fused', 'sync'] as const;

export const scheduleNames = [...stepScheduleNames, 'async'] as const;

export type ScheduleName = (typeof scheduleNames)[number];

export const balanceNames = ['time', 'memory'] as const;

export interface EngineOptions {
  /** Default `sync`. */
  readonly schedule?: string;
  /** Of the schedule `async`: batches by which updates that wait for a relay are late. Default 0. */
  readonly delay?: number;
  /** Of the schedule `async`: groups of modules that run side by side. Default: as many as there are cores for, each with its threads. */
  readonly stages?: number;
  /** What stages have alike: `time`, measured on a few steps (default), or `memory`, that of the activations that modules keep. */
  readonly balance?: string;
  /** Default `auto`. */
  readonly lowering?: string;
  /** Default `cpu`. */
  readonly device?: string;
  /** Threads of ONNX Runtime; default: all cores; under `async`: of each stage, default 1. */
  readonly threads?: number;
  /** Images per step; default: the recipe's. */
  readonly batch?: number;
  /** Also compute gradients as outputs, for `StepRun.wantsGradients`. */
  readonly gradients?: boolean;
  /** An existing folder, to measure every node until `StepEngine.endProfile`; it writes files there meanwhile. Not under `async`. */
  readonly profileFolder?: string;
  /** Is told of each task of the schedule `async` when it has run. */
  readonly trace?: (event: TraceEvent) => void;
  /** Takes a line on what was chosen, and why. */
  readonly note?: (line: string) => void;
}

export interface OpenEngine {
  readonly engine: TrainEngine;
  readonly manifest: Manifest;
  readonly runtime: Runtime;
  readonly lowering: LoweringChoice;
  /** Releases sessions, tensors and the runtime. */
  readonly dispose: () => void;
  /** Of an engine on several machines: makes it able to train again after a loss. The state is then to be loaded anew. */
  readonly recover?: (signal?: AbortSignal) => Promise<void>;
  /** Of such an engine: lets the other machines go and releases all; to be called before `dispose`. */
  readonly leave?: () => Promise<void>;
}

/** What a schedule computes with. */
interface Plan {
  readonly schedule: ScheduleName;
  readonly delay: number;
  readonly stages: number;
  readonly balance: (typeof balanceNames)[number];
  readonly threads: number;
}

/**
 * @throws InputError for a schedule, lowering or device that does not exist, options that the schedule does not have, more stages than modules, or a recipe
 * whose split does not fit
 */
export async function openEngine(recipe: Recipe, options: EngineOptions = {}): Promise<OpenEngine> {
  const plan = planOf(options);
  const device = parseDevice(options.device ?? 'cpu', '--device').name;
  const runtime = await createNativeRuntime({ device, threads: plan.threads });
  try {
    const lowering = await chooseLowering(options.lowering ?? 'auto', runtime);
    options.note?.(`lowering ${lowering.lowering.name}: ${lowering.reason}`);
    const { engine, manifest } = await loadEngine(recipe, runtime, lowering.lowering, plan, options);
    collectGarbage();
    runtime.trim();
    const dispose = (): void => {
      engine.dispose();
      runtime.dispose();
    };
    return { engine, manifest, runtime, lowering, dispose };
  } catch (error) {
    runtime.dispose();
    throw error;
  }
}

/** The graphs are garbage when this returns. */
async function loadEngine(
  recipe: Recipe,
  runtime: Runtime,
  lowering: Lowering,
  plan: Plan,
  options: EngineOptions,
): Promise<{ engine: TrainEngine; manifest: Manifest }> {
  const { batch, gradients = false, profileFolder } = options;
  const { schedule } = plan;
  const built = {
    lowering,
    schedules: [schedule === 'async' ? 'sync' : schedule] as const,
    gradients,
    ...(batch === undefined ? {} : { batch }),
  };
  if (schedule === 'async') {
    const sized = batch === undefined ? recipe : { ...recipe, data: { ...recipe.data, batch } };
    const graphs = buildSharedGraphs(sized, built);
    return { engine: await loadPipeline(sized, runtime, graphs, plan, options), manifest: graphs.manifest };
  }
  // A shared session would measure the tasks that share it as one.
  const graphs = profileFolder === undefined ? buildSharedGraphs(recipe, built) : buildGraphs(recipe, built);
  const profile = profileFolder === undefined ? {} : { profileFolder };
  return { engine: await StepEngine.create(runtime, graphs, { schedule, ...profile }), manifest: graphs.manifest };
}

/** The engine of the schedule `async`, its modules grouped in stages. */
async function loadPipeline(
  recipe: Recipe,
  runtime: Runtime,
  graphs: ReturnType<typeof buildSharedGraphs>,
  plan: Plan,
  { trace, stages: asked, note }: EngineOptions,
): Promise<PipelineEngine> {
  const modules = graphs.manifest.modules.length;
  if (asked !== undefined && asked > modules) {
    throw new InputError('STAGES', `--stages: found ${asked}, allowed: 1 to ${modules}, the modules of ${recipe.name}`);
  }
  const stages = Math.min(plan.stages, modules);
  const engine = await PipelineEngine.create(runtime, graphs, { delay: plan.delay });
  try {
    if (stages > 1) {
      const costs =
        plan.balance === 'memory'
          ? memoryCosts(moduleCosts(buildStep(recipe, recipe.data.batch)))
          : await measureModules(engine, recipe);
      const arranged = balance(costs, stages);
      note?.(`stages, by ${plan.balance}: modules ${arranged.map(span).join(', ')}; threads of each: ${plan.threads}`);
      engine.arrange(arranged);
    }
    engine.trace = trace;
    return engine;
  } catch (error) {
    engine.dispose();
    throw error;
  }
}

const span = (modules: readonly number[]): string =>
  modules.length === 1 ? String(modules[0]) : `${modules[0]}-${modules.at(-1)}`;

/** @throws InputError for what does not exist or does not go together */
function planOf({ schedule = 'sync', delay, stages, balance = 'time', threads }: EngineOptions): Plan {
  const name = known('--schedule', schedule, scheduleNames, 'SCHEDULE_UNKNOWN');
  const by = known('--balance', balance, balanceNames, 'BALANCE_UNKNOWN');
  const cores = availableParallelism();
  if (name === 'async') {
    const each = threads ?? 1;
    const fitting = Math.max(1, Math.floor(cores / each));
    return { schedule: name, delay: delay ?? 0, stages: stages ?? fitting, balance: by, threads: each };
  }
  for (const [option, value] of Object.entries({ delay, stages })) {
    if (value === undefined) continue;
    throw new InputError('SCHEDULE_OPTION', `--${option}: found with --schedule ${name}, allowed: with async only`);
  }
  return { schedule: name, delay: 0, stages: 1, balance: by, threads: threads ?? cores };
}

function known<T extends string>(option: string, name: string, allowed: readonly T[], code: string): T {
  const found = allowed.find((each) => each === name);
  if (found === undefined) throw new InputError(code, `${option}: found '${name}', allowed: ${allowed.join(', ')}`);
  return found;
}
