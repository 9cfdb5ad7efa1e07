/** Reading metrics.jsonl line by line, however large it is. */
import { InputError } from '../errors.js';
import { printable } from '../files/printable.js';
import { openRegularFile } from '../files/read.js';
import { readError } from '../files/system-errors.js';
import type { EvaluationEvent, MetricsEvent, SkippedEvent, StepEvent } from './events.js';
import { metricsPath } from './run-folder.js';

const NEWLINE = 0x0a;
const MAX_LINE_BYTES = 2 ** 26;

/** Of a run that an older version began, keys may be missing. */
export type RecordedStep = Pick<StepEvent, 'event' | 'step' | 'steps' | 'losses' | 'total'> & Partial<StepEvent>;
export type Recorded = RecordedStep | SkippedEvent | EvaluationEvent;

/**
 * The events of a run, in order. A last line that is not finished, since the run goes on or was killed, is left out.
 * @throws InputError `METRICS_INVALID` naming the line; as `readFileBytes`
 */
export async function* readMetrics(run: string): AsyncGenerator<Recorded, void> {
  const path = metricsPath(run);
  let number = 0;
  for await (const line of linesOf(path)) {
    number++;
    yield eventOf(line, (reason) => new InputError('METRICS_INVALID', `${printable(path)}: line ${number}: ${reason}`));
  }
}

async function* linesOf(path: string): AsyncGenerator<string, void> {
  let rest: Buffer = Buffer.alloc(0);
  const { handle } = await openRegularFile(path);
  try {
    const chunks = handle.createReadStream({ highWaterMark: 2 ** 20, start: 0, autoClose: false });
    for await (const chunk of chunks as AsyncIterable<Buffer>) {
      let start = 0;
      let end = chunk.indexOf(NEWLINE);
      for (; end >= 0; end = chunk.indexOf(NEWLINE, start)) {
        const piece = chunk.subarray(start, end);
        yield (rest.length === 0 ? piece : Buffer.concat([rest, piece])).toString('utf8');
        rest = Buffer.alloc(0);
        start = end + 1;
      }
      rest = Buffer.concat([rest, chunk.subarray(start)]);
      if (rest.length <= MAX_LINE_BYTES) continue;
      throw new InputError('METRICS_INVALID', `${printable(path)}: has a line of more than ${MAX_LINE_BYTES} bytes`);
    }
  } catch (error) {
    throw readError(path, error);
  } finally {
    await handle.close();
  }
}

function eventOf(line: string, invalid: (reason: string) => InputError): Recorded {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw invalid('not valid JSON');
  }
  const { event, step } = isPlain(value) ? value : {};
  if (!isPlain(value) || !isCount(step)) throw invalid('no "event" and "step"');
  const keys = typeof event === 'string' ? eventKeys.get(event) : undefined;
  if (!keys) throw invalid(`"event" is none of ${[...eventKeys.keys()].join(', ')}`);
  const bad = Object.entries(keys).find(([key, isValid]) => !isValid(value[key]));
  if (bad) throw invalid(`"${bad[0]}" of ${String(event)} is missing or no value that it can have`);
  return value as unknown as MetricsEvent;
}

type Check = (value: unknown) => boolean;

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isNumber: Check = (value) => typeof value === 'number';
const absentOr =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const isNumberOrNull: Check = (value) => value === null || isNumber(value);
/** By names such as `3/cascade/decoder`. */
const areLosses: Check = (value) =>
  isPlain(value) && Object.entries(value).every(([name, loss]) => /^\d+\/./.test(name) && isNumber(loss));
const areStages: Check = (value) =>
  Array.isArray(value) &&
  value.every(
    (stage: unknown) =>
      isPlain(stage) &&
      Array.isArray(stage.modules) &&
      stage.modules.every(isCount) &&
      [stage.busySeconds, stage.waitingSeconds, stage.transferSeconds].every(isNumber),
  );

const stepKeys: Readonly<Record<string, Check>> = {
  steps: isCount,
  losses: areLosses,
  total: isNumber,
  epoch: absentOr(isCount),
  learningRate: absentOr(isNumber),
  imagesPerSecond: absentOr(isNumberOrNull),
  stepSeconds: absentOr(isNumberOrNull),
  dataSeconds: absentOr(isNumberOrNull),
  peakBytes: absentOr(isNumber),
  residentBytes: absentOr(isNumber),
  stages: absentOr(areStages),
} satisfies Partial<Record<keyof StepEvent, Check>>;

const evaluationKeys: Readonly<Record<string, Check>> = {
  epoch: isCount,
  testAccuracy: isNumber,
  testLoss: isNumber,
  trainAccuracy: absentOr(isNumber),
} satisfies Partial<Record<keyof EvaluationEvent, Check>>;

const skippedKeys: Readonly<Record<string, Check>> = { epoch: isCount } satisfies Partial<
  Record<keyof SkippedEvent, Check>
>;

/** By kind of event. */
const eventKeys: ReadonlyMap<string, Readonly<Record<string, Check>>> = new Map([
  ['step', stepKeys],
  ['skipped', skippedKeys],
  ['epoch', evaluationKeys],
  ['evaluation', evaluationKeys],
]);
