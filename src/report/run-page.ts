/** The page of a run. */
import type { RunOutline } from '../train/index.js';
import { toJson } from '../recipe/index.js';
import { version } from '../version.js';
import { escapeHtml } from './html.js';
import { renderPage } from './page.js';
import type { RunData, RunTotals } from './run-data.js';
import type { TraceData } from './trace-data.js';
import { byteText, countText, dateText, durationText, secondsText } from './words.js';

export interface RunReport {
  readonly outline: RunOutline;
  readonly data: RunData;
  readonly totals: RunTotals;
  readonly trace: TraceData | null;
}

const SCRIPTS = ['theme.js', 'charts.js', 'modules.js', 'stages.js', 'timeline.js', 'report.js'];

export async function runPage(report: RunReport): Promise<string> {
  const { outline, data, trace } = report;
  const { recipe, state } = outline;
  const body = [
    `<header><p class="kind">hpff run</p><h1>${escapeHtml(recipe.name)}</h1>${status(report)}</header>`,
    '<main>',
    tiles(report),
    data.steps.length === 0 ? '<section><p>No step has been recorded yet.</p></section>' : '',
    '<div id="charts"></div>',
    details(report),
    `<section><details><summary>Recipe</summary><pre>${escapeHtml(toJson(recipe))}</pre></details></section>`,
    '</main>',
  ].join('\n');
  const { stepsPerEpoch } = state;
  return renderPage({ title: recipe.name, body, data: { ...data, stepsPerEpoch, trace }, scripts: SCRIPTS });
}

/** Where a run ends; a run of an older version does not say. */
export function totalStepsOf({ sessions, recipe, state }: RunOutline): number {
  return sessions.at(-1)?.totalSteps ?? recipe.schedule.epochs * state.stepsPerEpoch;
}

function status({ outline, totals }: RunReport): string {
  const { state } = outline;
  const total = totalStepsOf(outline);
  const done = state.step >= total && state.evaluation?.step === state.step;
  const where = `step ${countText(Math.max(totals.step, state.step))} of ${countText(total)}`;
  const word = done
    ? 'finished'
    : totals.step > state.step
      ? 'in progress, or ended without its last checkpoint'
      : 'not finished';
  const last = outline.sessions.at(-1);
  const when = last ? `; last begun ${dateText(last.time)}` : '';
  return `<p class="soft">${done ? 'Finished' : `<strong>${word[0]!.toUpperCase()}${word.slice(1)}</strong>`}: ${where}${escapeHtml(when)}</p>`;
}

function tiles({ totals, outline }: RunReport): string {
  const { last, best, trainSeconds, timedSteps, skippedSteps, peakBytes, trainLoss } = totals;
  const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;
  const entries: [string, string | null][] = [
    ['test accuracy', last && percent(last.testAccuracy)],
    [`best, epoch ${best?.epoch}`, best && last && best.step !== last.step ? percent(best.testAccuracy) : null],
    ['training accuracy', last && last.trainAccuracy !== null ? percent(last.trainAccuracy) : null],
    ['test loss', last && last.testLoss.toFixed(4)],
    ['loss in training', trainLoss === null ? null : trainLoss.toPrecision(4)],
    ['steps', countText(Math.max(totals.step, outline.state.step))],
    ['of these left out', skippedSteps > 0 ? countText(skippedSteps) : null],
    ['epochs', String(totals.epoch)],
    ['a step', timedSteps > 0 ? secondsText(trainSeconds / timedSteps) : null],
    ['training in all', timedSteps > 0 ? durationText(trainSeconds) : null],
    ['peak memory', peakBytes === null ? null : byteText(peakBytes)],
  ];
  const shown = entries.filter((entry): entry is [string, string] => entry[1] !== null);
  return `<div class="tiles">${shown.map(([name, text]) => `<div class="tile"><b>${escapeHtml(text)}</b><span>${escapeHtml(name)}</span></div>`).join('')}</div>`;
}

function details({ outline, data }: RunReport): string {
  const { recipe, state, sessions } = outline;
  const { network, local, optimizer, schedule, data: images, seed } = recipe;
  const { computed } = state;
  const last = sessions.at(-1);
  const modules = last?.modules ?? 1 + Math.max(0, ...data.losses.map(({ module }) => module));
  const settings: [string, string][] = [
    ['network', `${network.type} ${network.depth}, ${network.classes} classes, images ${network.image.join('×')}`],
    [
      'local learning',
      `${local.rule}${local.hierarchy ? ' + HiLo' : ''}${local.patches ? ' + PFF' : ''}, ${modules} modules`,
    ],
    [
      'optimizer',
      `${optimizer.type}, learning rate ${optimizer.learningRate}, ${schedule.type} over ${schedule.epochs} epochs`,
    ],
    [
      'data',
      `${images.dataset}, batch ${images.batch}${last ? `, ${countText(last.trainImages)} images to train, ${countText(last.testImages)} to test` : ''}`,
    ],
    ['seed', String(seed)],
    ['schedule', `${computed.schedule}${computed.schedule === 'async' ? `, delay ${computed.delay}` : ''}`],
    [
      'computed by',
      `ONNX Runtime ${computed.onnxRuntime}, ${computed.device}, lowering ${computed.lowering}, threads ${computed.threads}`,
    ],
    ...(last ? machineRows(last.machine) : []),
    ['hpff', `${state.hpff}; report by ${version}`],
    ['checkpoint', `step ${countText(state.step)}`],
  ];
  const list = settings.map(([name, text]) => `<dt>${name}</dt><dd>${escapeHtml(text)}</dd>`).join('');
  return `<section><h2>Settings</h2><dl>${list}</dl>${sessionList(sessions)}</section>`;
}

const machineRows = ({
  system,
  cpu,
  cores,
  memoryBytes,
  node,
}: RunOutline['sessions'][number]['machine']): [string, string][] => [
  ['machine', `${cpu}, ${cores} cores, ${byteText(memoryBytes)}; ${system}; Node ${node}`],
];

/** Where a run was interrupted. */
function sessionList(sessions: RunOutline['sessions']): string {
  if (sessions.length < 2) return '';
  const shown = sessions.slice(-20);
  const items = shown.map(
    ({ time, step, computed: _, ...rest }: RunOutline['sessions'][number] & { computed?: unknown }) =>
      `<li>${escapeHtml(`${dateText(time)}: from step ${countText(step)}, threads ${rest.threads}, ${rest.machine.cpu}`)}</li>`,
  );
  const more = sessions.length > shown.length ? ` The last ${shown.length} of ${sessions.length}:` : '';
  return `<h3>Trained in ${sessions.length} sessions</h3><p class="soft">${more}</p><ul>${items.join('')}</ul>`;
}
