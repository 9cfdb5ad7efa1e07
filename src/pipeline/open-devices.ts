/** From a recipe to an engine with a stage on each of several devices. */
import type { Manifest } from '../artifacts/index.js';
import { InputError } from '../errors.js';
import type { Recipe } from '../recipe/types.js';
import type { Device } from '../runtime/device.js';
import { createNativeRuntime } from '../runtime/native/index.js';
import type { Runtime } from '../runtime/runtime.js';
import { chooseLowering, type LoweringChoice } from './choose-lowering.js';
import { DevicesEngine } from './devices-engine.js';
import { openEvaluator } from './evaluator.js';
import { ModuleCosts } from './module-costs.js';
import type { EngineOptions, OpenEngine } from './engine-options.js';
import { type Plan, threading } from './engine-plan.js';
import { openStage, type OpenStage } from './open-stage.js';
import { spans } from './balance.js';
import { collectGarbage } from './process-memory.js';

/** @param recipe with the batch to train with @throws InputError as `openEngine` */
export async function openOnDevices(
  recipe: Recipe,
  devices: readonly Device[],
  plan: Plan,
  { lowering: asked = 'auto', gradients = false, trace, note }: EngineOptions,
): Promise<OpenEngine> {
  const opened: (() => void)[] = [];
  const dispose = (): void => {
    for (const close of opened.splice(0).reverse()) close();
  };
  try {
    const runtimes: Runtime[] = [];
    for (const { name } of devices) {
      const runtime = await createNativeRuntime({ device: name, ...threading(plan), runThreads: 1 });
      opened.push(() => runtime.dispose());
      runtimes.push(runtime);
    }
    const lowering = await commonLowering(asked, runtimes);
    note?.(`lowering ${lowering.lowering.name}: ${lowering.reason}`);
    const [first] = runtimes as [Runtime];
    const { manifest, evaluator } = await openEvaluator(recipe, first, lowering.lowering);
    opened.push(() => evaluator.dispose());
    requireModules(manifest, devices);
    const arranged = await new ModuleCosts(recipe, first, lowering.lowering, plan).arrange(devices.length);
    const places = arranged.map((modules, i) => `modules ${spans([modules])} on ${devices[i]!.name}`);
    note?.(`stages, by ${plan.balance}: ${places.join('; ')}; threads of each: ${plan.threads}`);
    const hosts: OpenStage[] = [];
    for (const [i, modules] of arranged.entries()) {
      const host = await openStage(recipe, runtimes[i]!, lowering.lowering, modules, gradients);
      opened.push(() => host[Symbol.dispose]());
      hosts.push(host);
    }
    collectGarbage();
    first.trim();
    const engine = new DevicesEngine(manifest, hosts, evaluator, plan.delay);
    engine.trace = trace;
    return { engine, manifest, runtime: first, lowering, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

function requireModules({ modules, recipe }: Manifest, devices: readonly Device[]): void {
  if (devices.length <= modules.length) return;
  const allowed = `at most ${modules.length}, the modules of ${recipe.name}`;
  throw new InputError('STAGES', `--device: found ${devices.length} devices, allowed: ${allowed}`);
}

/** One that all have: a network is one lowering's. */
async function commonLowering(asked: string, runtimes: readonly Runtime[]): Promise<LoweringChoice> {
  const choices: LoweringChoice[] = [];
  for (const runtime of runtimes) choices.push(await chooseLowering(asked, runtime));
  const [first] = choices as [LoweringChoice];
  const other = choices.find(({ lowering }) => lowering.name !== first.lowering.name);
  if (!other) return first;
  return choices.find(({ lowering }) => lowering.name === 'portable') ?? chooseLowering('portable', runtimes[0]!);
}
