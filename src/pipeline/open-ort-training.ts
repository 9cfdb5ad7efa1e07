/** Opens the engine of ONNX Runtime's training API. */
import { buildTrainingGraphs, type RateTable } from '../artifacts/ort-training/index.js';
import { InputError } from '../errors.js';
import { ortTraining } from '../lower/index.js';
import type { Recipe } from '../recipe/types.js';
import { parseDevices } from '../runtime/device.js';
import { createNativeRuntime } from '../runtime/native/index.js';
import { openNativeTraining, openWebTraining } from '../runtime/ort-training/index.js';
import { chooseLowering } from './choose-lowering.js';
import type { EngineOptions, OpenEngine } from './engine-options.js';
import { planOf } from './engine-plan.js';
import { openEvaluator } from './evaluator.js';
import { OrtTrainingEngine, type RateOf } from './ort-training-engine.js';

/** Which of ONNX Runtime's interfaces trains: ordinary sessions (the default) or training sessions. */
export const backendNames = ['sessions', 'ort-training'] as const;

/** Whether options ask for training sessions. */
export const wantsOrtTraining = ({ backend, lowering }: EngineOptions): boolean =>
  backend === 'ort-training' || (backend === undefined && lowering === ortTraining.name);

/** @throws InputError `BACKEND_OPTION` for what goes with training sessions only, unless they are asked for */
export function refuseWithoutTraining(options: EngineOptions): void {
  if (wantsOrtTraining(options)) return;
  if (options.lowering === ortTraining.name) {
    const problem = `found '${ortTraining.name}' with --backend ${options.backend}`;
    throw new InputError('BACKEND_OPTION', `--lowering: ${problem}, allowed: with --backend ort-training`);
  }
  if (options.ortLibrary === undefined) return;
  const allowed = 'with --backend ort-training or --lowering ort-training';
  throw new InputError('BACKEND_OPTION', `--ort-library: found without training sessions, allowed: ${allowed}`);
}

/** @throws InputError for options that training sessions do not have, and where the library is missing */
export async function openOrtTraining(recipe: Recipe, options: EngineOptions): Promise<OpenEngine> {
  refuseOthers(options);
  const { batch, gradients = false, threads, ortLibrary } = options;
  const table = options.rates ?? { rates: [recipe.optimizer.learningRate], stepsPerEpoch: 1 };
  const library = ortLibrary === undefined ? openWebTraining() : openNativeTraining(ortLibrary, threads);
  const graphs = buildTrainingGraphs(recipe, {
    batch,
    gradients,
    ...(library.complete ? {} : { rates: table, moments: true }),
  });
  options.note?.(`training sessions of ${library.name}`);
  const runtime = await createNativeRuntime(threads === undefined ? {} : { threads });
  try {
    const { lowering } = await chooseLowering('auto', runtime);
    const { evaluator } = await openEvaluator(recipe, runtime, lowering);
    const rateOf = library.complete ? null : rateIn(table);
    const engine = new OrtTrainingEngine({ library, graphs, evaluator, rateOf });
    return {
      engine,
      manifest: graphs.manifest,
      runtime,
      lowering: { lowering: ortTraining, reason: 'asked for' },
      trains: { onnxRuntime: library.version, threads: library.threads },
      dispose: () => {
        engine.dispose();
        runtime.dispose();
      },
    };
  } catch (error) {
    runtime.dispose();
    throw error;
  }
}

const rateIn =
  ({ rates, stepsPerEpoch }: RateTable): RateOf =>
  (step) =>
    rates[Math.min(rates.length - 1, Math.floor((step - 1) / stepsPerEpoch))]!;

/** What goes with ordinary sessions only. */
function refuseOthers(options: EngineOptions): void {
  const { backend, lowering = 'auto', schedule = 'sync', device = 'cpu', profileFolder } = options;
  const { threads = 1, ortLibrary } = options;
  if (lowering !== 'auto' && lowering !== ortTraining.name) {
    throw new InputError(
      'BACKEND_OPTION',
      `--lowering: found '${lowering}' with --backend ${backend}, allowed: auto or ${ortTraining.name}`,
    );
  }
  const only = (option: string, found: string, allowed: string): InputError =>
    new InputError('BACKEND_OPTION', `--${option}: found '${found}' with training sessions, allowed: ${allowed}`);
  // Forward and backward pass are one call: modules cannot run ahead of their updates.
  if (schedule !== 'sync') throw only('schedule', schedule, 'sync');
  if (device !== 'cpu') throw only('device', device, 'cpu');
  if (profileFolder !== undefined) throw only('profile', 'it', 'none');
  planOf(options, parseDevices(device, '--device'));
  if (threads > 1 && ortLibrary === undefined) {
    const problem = `found ${threads} with training sessions in WebAssembly`;
    throw new InputError('BACKEND_OPTION', `--threads: ${problem}, allowed: 1, or more with --ort-library`);
  }
}
