/** A guard for recorded runs: what is replayed reads and writes the addresses of the recording, whatever it is given. */
import { UsageError } from '../../../errors.js';

export class FixedTensors {
  #first: readonly unknown[] | undefined;

  /** @param session its name, for messages */
  constructor(readonly session: string) {}

  /**
   * To be called before each run.
   * @param feeds in the session's order
   * @param targets the tensor of each output; undefined where ONNX Runtime would make one
   * @throws UsageError if an output has no tensor, or a tensor is another than in the first run
   */
  check(feeds: readonly object[], targets: readonly (object | undefined)[]): void {
    if (targets.includes(undefined)) throw this.#refusal('an output has no tensor to be written into');
    const all = [...feeds, targets.length, ...targets];
    this.#first ??= all;
    if (all.length === this.#first.length && all.every((each, i) => each === this.#first![i])) return;
    throw this.#refusal('a feed or an output is another tensor than in the first run');
  }

  #refusal(why: string): UsageError {
    return new UsageError('CUDA_GRAPH', `session '${this.session}': its recorded run cannot be replayed: ${why}`);
  }
}
