/**
 * What coordinator and workers say to each other. A *run* is one training of one coordinator; its *generations* are its attempts: when a worker is lost, all
 * begin anew from the last checkpoint under the next number, and nothing that belongs to an earlier one counts.
 *
 * Edges of stage s (each a stream of tensors, in order):
 *
 *     s-down       coordinator → s   state/<tensor> … | run | image, label, rate of each step … | end | run …
 *     s-up         s → coordinator   [tasks] report of each step … | state/<tensor> … | saved
 *     s-features   s → s+1           features
 *     s-relays     s → s-1           relays
 */
import { z } from 'zod';
import type { AnnouncementKind, RequestKind } from './control.js';

const id = z.string().regex(/^[A-Za-z0-9_]{1,64}$/);
const count = z.int().min(0);

const session = z.strictObject({ run: id, generation: count, stage: count });

/** What a worker says of itself, twice a second, and when it goes. */
const hello = z.strictObject({
  worker: id,
  /** Where it is, for messages: host and process. */
  place: z.string().max(300),
  /** Fingerprint of its program. */
  code: z.string().max(100),
  /** Hash of the only recipe that it serves; null: it serves any. */
  recipe: z.string().max(100).nullable(),
  /** What it works on; null: it is free. */
  session: session.nullable(),
  /** Whether this is its last. Otherwise absent, so that a coordinator of another version can read it and say that it is one. */
  leaves: z.literal(true).optional(),
});
export type Hello = z.output<typeof hello>;

/** A stage for a worker. */
const assignment = z.strictObject({
  ...session.shape,
  code: z.string().max(100),
  recipe: z.unknown(),
  recipeHash: z.string().max(100),
  /** Indices of the stage's modules, and how many stages there are. */
  modules: z.array(count).min(1),
  stages: count.min(1),
  lowering: z.strictObject({ name: z.string().max(40), block: count.nullable() }),
  delay: count,
  /** How features and relays travel. */
  encoding: z.enum(['raw', 'float16']),
  /** Whether the coordinator wants to know when tasks ran. */
  trace: z.boolean(),
});
export type Assignment = z.output<typeof assignment>;

const failure = z.strictObject({ worker: id, generation: count, code: z.string(), message: z.string() });
export type Failure = z.output<typeof failure>;

export const POOL = /^[A-Za-z0-9_]{1,64}$/;

export const helloOf = (pool: string): AnnouncementKind<Hello> => ({
  subject: `hpff.pool.${pool}.hello`,
  message: hello,
});

/** Asked of a worker; answered when its graphs are loaded and its edges open. */
export const assignmentOf = (worker: string): RequestKind<Assignment, { readonly ready: true }> => ({
  subject: `hpff.worker.${worker}.assign`,
  request: assignment,
  reply: z.strictObject({ ready: z.literal(true) }),
});

/** What a worker's clock shows, in milliseconds since 1970. */
export const clockOf = (worker: string): RequestKind<Record<string, never>, { readonly now: number }> => ({
  subject: `hpff.worker.${worker}.clock`,
  request: z.strictObject({}),
  reply: z.strictObject({ now: z.number() }),
});

/** Why a coordinator has no use for a worker. */
export const refusalOf = (worker: string): AnnouncementKind<{ readonly reason: string }> => ({
  subject: `hpff.worker.${worker}.refused`,
  message: z.strictObject({ reason: z.string() }),
});

/** From a worker whose stage has failed. */
export const failureOf = (run: string): AnnouncementKind<Failure> => ({
  subject: `hpff.run.${run}.failure`,
  message: failure,
});

/** From the coordinator, twice a second: the generation that counts; null: the run is over. */
export const presenceOf = (run: string): AnnouncementKind<{ readonly generation: number | null }> => ({
  subject: `hpff.run.${run}.coordinator`,
  message: z.strictObject({ generation: count.nullable() }),
});

/** Milliseconds between two of a sign of life. */
export const SIGN_MILLISECONDS = 500;
/** After so many without one, the other side counts as lost. */
export const LOST_MILLISECONDS = 6_000;

export const downEdge = (stage: number): string => `${stage}-down`;
export const upEdge = (stage: number): string => `${stage}-up`;
export const featuresEdge = (stage: number): string => `${stage}-features`;
export const relaysEdge = (stage: number): string => `${stage}-relays`;

/** Prefix of values that are parameters, statistics or optimizer state. */
export const STATE = 'state/';
