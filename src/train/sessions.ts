/** sessions.jsonl of a run: a line for each time that training began or went on, with its settings and its machine. */
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { InputError } from '../errors.js';
import { writeFileAtomic } from '../files/atomic.js';
import { JsonError, parseJson } from '../files/json.js';
import { printable } from '../files/printable.js';
import { readFileText } from '../files/read.js';

const SESSIONS = 'sessions.jsonl';

const machineSchema = z.object({
  /** Operating system and architecture. */
  system: z.string(),
  cpu: z.string(),
  cores: z.number(),
  memoryBytes: z.number(),
  /** Version of Node. */
  node: z.string(),
});

const sessionSchema = z.object({
  /** When it began, ISO 8601 in UTC. */
  time: z.string(),
  /** Version of hpff. */
  hpff: z.string(),
  /** Optimizer steps done before. */
  step: z.number(),
  /** Step to end at. */
  totalSteps: z.number(),
  stepsPerEpoch: z.number(),
  modules: z.number(),
  trainImages: z.number(),
  testImages: z.number(),
  onnxRuntime: z.string(),
  device: z.string(),
  schedule: z.string(),
  lowering: z.string(),
  delay: z.number(),
  threads: z.number(),
  machine: machineSchema,
});

export type Machine = z.output<typeof machineSchema>;
export type Session = z.output<typeof sessionSchema>;

/** The machine that this process runs on. */
export function thisMachine(): Machine {
  const processors = cpus();
  return {
    system: `${process.platform} ${release()} ${process.arch}`,
    cpu: processors[0]?.model.trim() || 'unknown',
    cores: processors.length,
    memoryBytes: totalmem(),
    node: process.version,
  };
}

/** Adds a line. @throws as `readFileText` and `writeFileAtomic` */
export async function addSession(run: string, session: Session): Promise<void> {
  await writeFileAtomic(join(run, SESSIONS), `${await readText(run)}${JSON.stringify(session)}\n`);
}

/**
 * Sessions of a run, in order; none of a run that an older version began.
 * @throws InputError `SESSIONS_INVALID` if a line is not one; as `readFileText`
 */
export async function readSessions(run: string): Promise<Session[]> {
  const lines = (await readText(run)).split('\n').slice(0, -1);
  return lines.map((line, i) => parseSession(line, `${printable(join(run, SESSIONS))}: line ${i + 1}`));
}

async function readText(run: string): Promise<string> {
  try {
    return await readFileText(join(run, SESSIONS));
  } catch (error) {
    if (error instanceof InputError && error.code === 'FILE_MISSING') return '';
    throw error;
  }
}

function parseSession(line: string, at: string): Session {
  const invalid = (reason: string) => new InputError('SESSIONS_INVALID', `${at}: ${reason}`);
  let value: unknown;
  try {
    value = parseJson(line);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw invalid(`not valid JSON: ${error.reason}`);
  }
  const result = sessionSchema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw invalid(`${printable(issue.path.join('.')) || 'session'}: ${issue.message}`);
}
