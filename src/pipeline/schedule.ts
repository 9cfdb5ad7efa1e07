/**
 * The schedule of the asynchronous pipeline: which tasks each module runs, in which order. A pure function of the number of steps and the delay; an
 * orchestrator only carries it out. Since each module's order is fixed and modules share no parameters, results do not depend on timing.
 *
 * Tasks of module i for the batch of step t (HPFF, section 3):
 *
 *     F(t)  forward: its feature h_i, for the module above
 *     H(t)  its heads: their update, and the cotangents at h_i
 *     R(t)  relay: the gradient of its cascade loss at h_{i-1}, back one hop
 *     U(t)  update of its part of the trunk, with its own cotangent and the relay R(t) of the module above
 *
 * In round t a module runs F(t) H(t) R(t) U(t-D): with delay D it goes on with D more batches while the relay is on its way. Three modules, four steps:
 *
 *     D = 0   module 0   F1 U1 | F2 U2 | F3 U3 | F4 U4
 *             module 1   F1 H1 R1 U1 | F2 H2 R2 U2 | F3 H3 R3 U3 | F4 H4 R4 U4
 *             module 2   F1 H1 U1 | F2 H2 U2 | F3 H3 U3 | F4 H4 U4
 *     D = 1   module 0   F1 | F2 U1 | F3 U2 | F4 U3 | U4
 *             module 1   F1 H1 R1 | F2 H2 R2 U1 | F3 H3 R3 U2 | F4 H4 R4 U3 | U4
 *             module 2   F1 H1 U1 | F2 H2 U2 | F3 H3 U3 | F4 H4 U4
 *     D = 2   module 0   F1 | F2 | F3 U1 | F4 U2 | U3 | U4
 *             module 1   F1 H1 R1 | F2 H2 R2 | F3 H3 R3 U1 | F4 H4 R4 U2 | U3 | U4
 *             module 2   F1 H1 U1 | F2 H2 U2 | F3 H3 U3 | F4 H4 U4
 *
 * A module to which no relay comes, as the last, updates at once whatever the delay. (The relay of the last module is made by its update.)
 *
 * **Which weights a task sees.** Let w(n) be a module's weights after the updates of batches 1 … n. F(t), H(t) and R(t) see w(t-1-D), all three the same,
 * so a relay always fits the forward pass that it goes back through. U(t) runs in round t+D and changes w(t-1) to w(t); the activations that it reads were
 * made with w(t-1-D).
 *
 * - D = 0: all four see w(t-1). Nothing is stale: this is the synchronous method, with modules at different batches.
 * - D = 1: the activations of U(t) are one update older than the weights through which it goes backward; D = 2: two.
 *
 * Activations are kept, not weights. So for D > 0 the gradient of U(t) is not exactly that of any weights: a layer's weight gradient takes its input as w(t-1-D)
 * made it, and a cotangent that came down through the layers above at w(t-1). Where D updates change the weights by δ, it differs from the gradient at w(t-1)
 * by O(δ), as a delayed gradient does. The heads are never stale. Keeping weights would make it the delayed gradient exactly, for D copies of them.
 *
 * **Memory.** F(t) comes after U(t-1-D): a module keeps the activations of D+1 batches at most, whatever the number of modules and however late a neighbour is. And
 * since U(t-1-D) has waited for the module above to have forwarded that batch, at most D+1 features wait between two modules.
 *
 * **Waiting.** U(t) waits for R(t) of the module above, which waits for nothing but its own order: at most one hop.
 */
import type { Phase } from '../local/index.js';

export interface ScheduledTask {
  readonly phase: Phase;
  /** 1-based, of the batch. */
  readonly step: number;
}

/** What decides the order of a module's tasks. */
export interface ModuleShape {
  /** Its phases in the order of a synchronous step; `update` is the last. */
  readonly phases: readonly Phase[];
  /** Whether its update reads a relay from the module above. */
  readonly awaitsRelay: boolean;
}

/** Consecutive steps, after which all updates are done. */
export interface StepRange {
  readonly first: number;
  /** Infinity as long as it is not known. */
  readonly last: number;
}

/** Rounds by which a module's updates come after its forward passes. */
export const delayOf = ({ awaitsRelay }: ModuleShape, delay: number): number => (awaitsRelay ? delay : 0);

/** The tasks of a module in one round. */
export function roundTasks(
  module: ModuleShape,
  delay: number,
  { first, last }: StepRange,
  round: number,
): ScheduledTask[] {
  const updated = round - delayOf(module, delay);
  return module.phases.flatMap((phase) => {
    const step = phase === 'update' ? updated : round;
    return step >= first && step <= last ? [{ phase, step }] : [];
  });
}

/** All tasks of a module, in order. `last` must be finite. */
export function moduleSchedule(module: ModuleShape, delay: number, range: StepRange): ScheduledTask[] {
  const tasks: ScheduledTask[] = [];
  for (let round = range.first; round <= range.last + delayOf(module, delay); round++) {
    tasks.push(...roundTasks(module, delay, range, round));
  }
  return tasks;
}
