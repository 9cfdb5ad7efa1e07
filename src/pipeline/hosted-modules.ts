/** The modules of a manifest that one process runs: their tasks, and what passes between them and modules elsewhere. */
import { type GraphEntry, isPassing, type Manifest, type Port, stepGraphs } from '../artifacts/index.js';
import type { Phase } from '../local/index.js';
import type { ModuleShape } from './schedule.js';

export interface HostedTask {
  readonly entry: GraphEntry;
  /** Its place in the order of a synchronous step. */
  readonly place: number;
  /** Inputs that belong to a step. */
  readonly reads: readonly string[];
}

export interface HostedModule {
  readonly index: number;
  readonly shape: ModuleShape;
  readonly tasks: ReadonlyMap<Phase, HostedTask>;
}

/** What belongs to a step: values that pass, and its scalars. */
const ofStep = ({ meaning }: Port): boolean => isPassing(meaning) || meaning === 'scalar';

export class HostedModules {
  /** In order. */
  readonly modules: readonly HostedModule[];
  /** How many tasks here read a value. */
  private readonly readers = new Map<string, number>();
  /** Values that tasks elsewhere read. */
  private readonly readElsewhere = new Set<string>();

  /** @param hosted indices; default all modules */
  constructor(manifest: Manifest, hosted?: ReadonlySet<number>) {
    const modules = new Map<number, Map<Phase, HostedTask>>();
    stepGraphs(manifest, 'sync').forEach((entry, place) => {
      const reads = entry.inputs.filter(ofStep).map(({ name }) => name);
      if (hosted && !hosted.has(entry.module!)) {
        for (const name of reads) this.readElsewhere.add(name);
        return;
      }
      for (const name of reads) this.readers.set(name, (this.readers.get(name) ?? 0) + 1);
      const tasks = modules.get(entry.module!) ?? new Map<Phase, HostedTask>();
      modules.set(entry.module!, tasks.set(entry.phase as Phase, { entry, place, reads }));
    });
    this.modules = [...modules].map(([index, tasks]) => ({ index, tasks, shape: shapeOf(tasks) }));
  }

  readersOf(name: string): number {
    return this.readers.get(name) ?? 0;
  }

  isReadElsewhere(name: string): boolean {
    return this.readElsewhere.has(name);
  }
}

function shapeOf(tasks: ReadonlyMap<Phase, HostedTask>): ModuleShape {
  const awaitsRelay = tasks.get('update')!.entry.inputs.some(({ meaning }) => meaning === 'relay');
  return { phases: [...tasks.keys()], awaitsRelay };
}
