/** What a training over NATS is, as its coordinator knows it. */
import type { Manifest } from '../artifacts/index.js';
import type { Evaluator, TraceEvent } from '../pipeline/index.js';
import type { Encoding } from './tensor-message.js';

export interface ClusterPlan {
  /** Name of the run on the server. */
  readonly run: string;
  readonly manifest: Manifest;
  readonly recipeHash: string;
  readonly code: string;
  readonly lowering: { readonly name: string; readonly block: number | null };
  readonly delay: number;
  readonly encoding: Encoding;
  /** Workers asked for; undefined: those that are there. */
  readonly workers: number | undefined;
  /** Indices of the modules of each of so many stages. */
  readonly arrange: (stages: number) => Promise<number[][]>;
  readonly evaluator: Evaluator;
  readonly note: (line: string) => void;
  /** Is told of each task of the workers, some time after it has run. */
  readonly trace?: (event: TraceEvent) => void;
}
