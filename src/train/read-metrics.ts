/** Reading metrics.jsonl line by line, however large it is. */
import { createReadStream } from 'node:fs';
import { InputError } from '../errors.js';
import { printable } from '../files/printable.js';
import { readError } from '../files/system-errors.js';
import type { EvaluationEvent, MetricsEvent, StepEvent } from './events.js';
import { metricsPath } from './run-folder.js';

const NEWLINE = 0x0a;
const MAX_LINE_BYTES = 2 ** 26;

/** Of a run that an older version began, keys may be missing. */
export type RecordedStep = Pick<StepEvent, 'event' | 'step' | 'steps' | 'losses' | 'total'> & Partial<StepEvent>;
export type Recorded = RecordedStep | EvaluationEvent;

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
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 }) as AsyncIterable<Buffer>) {
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
  }
}

function eventOf(line: string, invalid: (reason: string) => InputError): Recorded {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw invalid('not valid JSON');
  }
  if (typeof value !== 'object' || value === null) throw invalid('no "event" and "step"');
  const { event, step, total, losses, steps, testAccuracy, testLoss } = value as Partial<Record<keyof Every, unknown>>;
  if (!isCount(step)) throw invalid('no "event" and "step"');
  if (event === 'step') {
    if (isCount(steps) && typeof losses === 'object' && losses !== null && typeof total === 'number') {
      return value as MetricsEvent;
    }
    throw invalid('a step without "steps", "losses" and "total"');
  }
  if (event !== 'epoch' && event !== 'evaluation') throw invalid('"event" is none of step, epoch, evaluation');
  if (typeof testAccuracy === 'number' && typeof testLoss === 'number') return value as MetricsEvent;
  throw invalid('an evaluation without "testAccuracy" and "testLoss"');
}

type Every = StepEvent & EvaluationEvent;

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
