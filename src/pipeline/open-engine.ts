/** From a recipe to an engine that is ready for weights: builds the graphs, starts the runtime, loads the sessions. */
import { buildGraphs, buildSharedGraphs, type Manifest } from '../artifacts/index.js';
import { InputError } from '../errors.js';
import { buildStep } from '../local/index.js';
import type { Lowering } from '../lower/index.js';
import type { Recipe } from '../recipe/types.js';
import { parseDevices } from '../runtime/device.js';
import { createNativeRuntime } from '../runtime/native/index.js';
import type { Runtime } from '../runtime/runtime.js';
import { balance, measureModules, memoryCosts, spans } from './balance.js';
import { chooseLowering } from './choose-lowering.js';
import type { TrainEngine } from './engine.js';
import type { EngineOptions, OpenEngine } from './engine-options.js';
import { type Plan, planOf, threading } from './engine-plan.js';
import { openOnDevices } from './open-devices.js';
import { openOrtTraining, refuseWithoutTraining, wantsOrtTraining } from './open-ort-training.js';
import { PipelineEngine } from './pipeline-engine.js';
import { collectGarbage } from './process-memory.js';
import { StepEngine } from './step-engine.js';

/**
 * @throws InputError for a schedule, lowering or device that does not exist, options that the schedule does not have, more stages than modules, or a recipe
 * whose split does not fit
 */
export async function openEngine(recipe: Recipe, options: EngineOptions = {}): Promise<OpenEngine> {
  if (wantsOrtTraining(options)) return openOrtTraining(recipe, options);
  refuseWithoutTraining(options);
  const devices = parseDevices(options.device ?? 'cpu', '--device');
  const plan = planOf(options, devices);
  if (devices.length > 1) {
    const { batch = recipe.data.batch } = options;
    return openOnDevices({ ...recipe, data: { ...recipe.data, batch } }, devices, plan, options);
  }
  const runtime = await createNativeRuntime({ device: devices[0]!.name, ...threading(plan) });
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
          ? memoryCosts(buildStep(recipe, recipe.data.batch), plan.delay)
          : await measureModules(engine, recipe);
      const arranged = balance(costs, stages);
      note?.(`stages, by ${plan.balance}: modules ${spans(arranged)}; threads of each: ${plan.threads}`);
      engine.arrange(arranged);
    }
    engine.trace = trace;
    return engine;
  } catch (error) {
    engine.dispose();
    throw error;
  }
}
