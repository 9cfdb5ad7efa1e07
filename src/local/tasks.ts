/** The tasks of a training step: what each local module has to do. */

/**
 * `forward`: features and stashed activations. `heads`: losses, cotangents of the features, update of the heads. `relay`: input gradient of
 * the cascade losses, for the module below. `update`: full backward pass and optimizer.
 */
export type Phase = 'forward' | 'heads' | 'relay' | 'update';

export interface Task {
  readonly module: number;
  readonly phase: Phase;
}

/** Name of the section of the step graph that holds a task's nodes, e.g. `3/update`. */
export const sectionOf = ({ module, phase }: Task): string => `${module}/${phase}`;

export interface StepShape {
  readonly modules: number;
  /** HiLo: modules send a relay gradient one hop back; the last one makes it in its update (one backward pass serves both). */
  readonly relays: boolean;
  /** Modules that send none after all, since their cascade heads have weight 0. */
  readonly silent: ReadonlySet<number>;
}

/**
 * The tasks of one synchronous step, in an order that lets every activation die early. With relays a module updates as soon as its neighbour
 * above has sent one; without, at once. For M = 4 with relays:
 *
 *     forward 0
 *     forward 1 · heads 1 · relay 1 · update 0
 *     forward 2 · heads 2 · relay 2 · update 1
 *     forward 3 · heads 3 · update 3 (with relay) · update 2
 *
 * A module whose cascade heads have weight 0 has no relay.
 */
export function stepTasks({ modules, relays, silent }: StepShape): Task[] {
  const tasks: Task[] = [];
  const last = modules - 1;
  for (let module = 0; module < modules; module++) {
    const push = (phase: Phase, of = module): number => tasks.push({ module: of, phase });
    push('forward');
    // With relays the first module is supervised by its neighbour alone.
    if (module > 0 || !relays || last === 0) push('heads');
    if (!relays || module === last) push('update');
    else if (module > 0 && !silent.has(module)) push('relay');
    if (relays && module > 0) push('update', module - 1);
  }
  return tasks;
}
