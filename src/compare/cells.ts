/** The figures of a comparison in words. */
import type { ComparedRecipe, ComparedRun } from './document.js';
import type { Statistic } from './statistics.js';

export const NONE = '–';

const mebibyte = 2 ** 20;

/** A share as percent, with its standard deviation over seeds. */
export function percentText(value: Statistic | null, sign = false): string {
  if (value === null) return NONE;
  const { mean, sd } = value;
  const text = (100 * mean).toFixed(2);
  return `${sign && mean >= 0 ? '+' : ''}${text}${sd === null ? '' : ` ± ${(100 * sd).toFixed(2)}`}`;
}

export const lossText = (value: Statistic | null): string =>
  value === null ? NONE : `${value.mean.toFixed(4)}${value.sd === null ? '' : ` ± ${value.sd.toFixed(4)}`}`;

export const secondsText = (value: number | null): string => (value === null ? NONE : value.toPrecision(3));

export const mebibytesText = (value: number | null): string => (value === null ? NONE : (value / mebibyte).toFixed(0));

/** With narrow spaces between thousands. */
export const countText = (value: number): string => String(value).replaceAll(/\B(?=(\d{3})+$)/g, '\u202f');

export interface Column {
  readonly title: string;
  readonly text: (recipe: ComparedRecipe) => string;
}

/** Columns of the table, the recipe's name first. */
export const columns: readonly Column[] = [
  { title: 'recipe', text: ({ name }) => name },
  { title: 'modules', text: ({ modules }) => String(modules) },
  { title: 'test accuracy, %', text: ({ testAccuracy }) => percentText(testAccuracy) },
  { title: 'less the first, points', text: ({ difference }) => percentText(difference, true) },
  { title: 'test loss', text: ({ testLoss }) => lossText(testLoss) },
  { title: 'step, s', text: ({ stepSeconds }) => secondsText(stepSeconds) },
  { title: 'peak memory, MiB', text: ({ peakBytes }) => mebibytesText(peakBytes) },
  { title: 'parameters', text: ({ parameters }) => countText(parameters) },
  { title: 'in heads', text: ({ headParameters }) => countText(headParameters) },
  { title: 'runs', text: ({ runs }) => runsText(runs) },
];

/** `3`, or `2 of 3, 1 failed`. */
function runsText(runs: readonly ComparedRun[]): string {
  const count = (status: ComparedRun['status']): number => runs.filter((run) => run.status === status).length;
  if (count('done') === runs.length) return String(runs.length);
  const failed = count('failed') > 0 ? `, ${count('failed')} failed` : '';
  return `${count('done')} of ${runs.length}${failed}`;
}

/** What the columns mean, a sentence each. */
export const legend: readonly string[] = [
  'Test accuracy and loss: at the end of training, mean ± standard deviation over the seeds (n − 1).',
  'Less the first: mean of the differences to the first recipe with the same seed.',
  'Step: median over runs of the median over groups of steps, evaluations and checkpoints left out.',
  'Peak memory: highest resident memory of the training process, images and weights included.',
  'Parameters: of the network that is trained and exported; in heads: of what is thrown away after training.',
];
