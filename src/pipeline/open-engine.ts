/** From a recipe to an engine that is ready for weights: builds the graphs, starts the runtime, loads the sessions. */
import { buildGraphs, buildSharedGraphs, type Manifest } from '../artifacts/index.js';
import { InputError } from '../errors.js';
import type { Lowering } from '../lower/index.js';
import type { Recipe } from '../recipe/types.js';
import { createNativeRuntime } from '../runtime/native/index.js';
import type { Runtime } from '../runtime/runtime.js';
import { chooseLowering, type LoweringChoice } from './choose-lowering.js';
import { collectGarbage } from './process-memory.js';
import { StepEngine } from './step-engine.js';

export const scheduleNames = ['fused', 'sync'] as const;

export type ScheduleName = (typeof scheduleNames)[number];

export interface EngineOptions {
  /** Default `sync`. */
  readonly schedule?: string;
  /** Default `auto`. */
  readonly lowering?: string;
  /** Default `cpu`. */
  readonly device?: string;
  /** Threads of ONNX Runtime; default: all cores. */
  readonly threads?: number;
  /** Images per step; default: the recipe's. */
  readonly batch?: number;
  /** Also compute gradients as outputs, for `stepWithGradients`. */
  readonly gradients?: boolean;
  /** An existing folder, to measure every node until `StepEngine.endProfile`; it writes files there meanwhile. */
  readonly profileFolder?: string;
  /** Takes a line on what was chosen, and why. */
  readonly note?: (line: string) => void;
}

export interface OpenEngine {
  readonly engine: StepEngine;
  readonly manifest: Manifest;
  readonly runtime: Runtime;
  readonly lowering: LoweringChoice;
  /** Releases sessions, tensors and the runtime. */
  readonly dispose: () => void;
}

/** @throws InputError for a schedule, lowering or device that does not exist, or a recipe whose split does not fit */
export async function openEngine(recipe: Recipe, options: EngineOptions = {}): Promise<OpenEngine> {
  const schedule = selectSchedule(options.schedule ?? 'sync');
  checkDevice(options.device ?? 'cpu');
  const runtime = await createNativeRuntime(options.threads === undefined ? {} : { threads: options.threads });
  try {
    const lowering = await chooseLowering(options.lowering ?? 'auto', runtime);
    options.note?.(`lowering ${lowering.lowering.name}: ${lowering.reason}`);
    const { engine, manifest } = await loadEngine(recipe, runtime, lowering.lowering, schedule, options);
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
  schedule: ScheduleName,
  { batch, gradients = false, profileFolder }: EngineOptions,
): Promise<{ engine: StepEngine; manifest: Manifest }> {
  const options = { lowering, schedules: [schedule], gradients, ...(batch === undefined ? {} : { batch }) };
  // A shared session would measure the tasks that share it as one.
  const graphs = profileFolder === undefined ? buildSharedGraphs(recipe, options) : buildGraphs(recipe, options);
  const profile = profileFolder === undefined ? {} : { profileFolder };
  return { engine: await StepEngine.create(runtime, graphs, { schedule, ...profile }), manifest: graphs.manifest };
}

function selectSchedule(name: string): ScheduleName {
  const known = scheduleNames.find((schedule) => schedule === name);
  if (!known) {
    throw new InputError('SCHEDULE_UNKNOWN', `--schedule: found '${name}', allowed: ${scheduleNames.join(', ')}`);
  }
  return known;
}

function checkDevice(name: string): void {
  if (name !== 'cpu') throw new InputError('DEVICE_UNKNOWN', `--device: found '${name}', allowed: cpu`);
}
