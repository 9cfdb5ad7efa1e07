/** Noticing where numbers have stopped being numbers. */
import { RunError } from '../errors.js';
import type { NamedTensors } from '../files/tensor.js';
import type { StepLosses } from '../pipeline/engine.js';

/** Where a training is, for a message. */
export interface Whereabouts {
  readonly step: number;
  readonly learningRate: number;
}

/** A loss or a weight is NaN or infinite: `LOSS_NOT_FINITE`, `WEIGHTS_NOT_FINITE`. */
export class NotFiniteError extends RunError {
  constructor(
    code: string,
    /** What was found where, as the message begins. */
    readonly found: string,
    /** Last step that was done. */
    readonly step: number,
    advice: string,
  ) {
    super(code, `${found}; training stopped: ${advice}`);
  }
}

/** @throws NotFiniteError `LOSS_NOT_FINITE` naming module, head and step */
export function requireFiniteLosses({ losses, total }: StepLosses, at: Whereabouts): void {
  for (const [name, loss] of losses) {
    if (Number.isFinite(loss)) continue;
    const [module, level, head] = name.split('/');
    throw notFinite('LOSS_NOT_FINITE', `module ${module}, ${level} ${head}: loss is ${loss}`, at);
  }
  if (!Number.isFinite(total)) throw notFinite('LOSS_NOT_FINITE', `total loss is ${total}`, at);
}

/** @throws NotFiniteError `LOSS_NOT_FINITE` */
export function requireFiniteEvaluation(loss: number, at: Whereabouts): void {
  if (!Number.isFinite(loss)) throw notFinite('LOSS_NOT_FINITE', `test loss is ${loss}`, at);
}

/** @throws NotFiniteError `WEIGHTS_NOT_FINITE` naming the first such tensor */
export function requireFiniteTensors(tensors: NamedTensors, at: Whereabouts): void {
  for (const [name, { data }] of tensors) {
    if (!(data instanceof Float32Array)) continue;
    const wrong = data.findIndex((value) => !Number.isFinite(value));
    if (wrong >= 0) throw notFinite('WEIGHTS_NOT_FINITE', `${name} holds ${data[wrong]} at ${wrong}`, at);
  }
}

function notFinite(code: string, what: string, { step, learningRate }: Whereabouts): NotFiniteError {
  const rate = Number(learningRate.toPrecision(4));
  const advice = `lower optimizer.learningRate (it was ${rate} here), warm up for longer, or check data.normalize`;
  return new NotFiniteError(code, `step ${step}: ${what}`, step, advice);
}
