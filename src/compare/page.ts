/** A comparison as a self-contained page. */
import { durationText, escapeHtml, renderPage } from '../report/index.js';
import { columns, legend } from './cells.js';
import type { Difference } from './conditions.js';
import type { Comparison } from './document.js';
import { conditionLine, failureLines, settingsLine } from './notes.js';
import { accuracyPlot } from './plot.js';

export async function comparisonPage(comparison: Comparison): Promise<string> {
  const { recipes, conditions, method, complete } = comparison;
  const names = recipes.map(({ name }) => name);
  const failures = failureLines(comparison);
  const body = [
    `<header><p class="kind">hpff comparison</p><h1>${names.map(escapeHtml).join(' · ')}</h1>`,
    `<p class="soft">${escapeHtml(settingsLine(comparison))}${complete ? '' : ' <strong>Not complete.</strong>'}</p></header>`,
    '<main>',
    section(
      'Results',
      table(
        columns.map(({ title }) => title),
        recipes.map((recipe) => columns.map(({ text }) => text(recipe))),
      ) + (failures.length === 0 ? '' : list(failures, 'failures')),
    ),
    section('Test accuracy at the end', `<figure class="plot">${accuracyPlot(recipes)}</figure>`),
    '<section><h2>Test accuracy over training</h2><p class="soft">Mean over the seeds; each seed as a thin line.</p><div class="chart" id="curves"></div></section>',
    section(
      'What is compared',
      method.length === 0
        ? '<p>Nothing: the recipes say the same of local learning.</p>'
        : differenceTable(method, names),
    ),
    section(
      'Conditions',
      `<p>${escapeHtml(conditionLine(comparison))}</p>${conditions.length === 0 ? '' : differenceTable(conditions, names)}`,
    ),
    section('Seeds', seedTable(comparison)),
    section('How it is measured', list(legend, 'legend')),
    '</main>',
  ].join('\n');
  const data = {
    recipes: recipes.map(({ name, runs }) => ({
      name,
      runs: runs.map(({ seed, curve }) => ({
        seed,
        curve: curve.map(({ step, testAccuracy }) => [step, testAccuracy]),
      })),
    })),
  };
  return renderPage({ title: names.join(' · '), body, data, scripts: ['theme.js', 'charts.js', 'compare.js'] });
}

const section = (title: string, content: string): string => `<section><h2>${title}</h2>${content}</section>`;

const list = (lines: readonly string[], kind: string): string =>
  `<ul class="${kind}">${lines.map((line) => `<li>${escapeHtml(line)}</li>`).join('')}</ul>`;

function differenceTable(differences: readonly Difference[], names: readonly string[]): string {
  return table(
    ['key', ...names],
    differences.map(({ path, values }) => [path, ...values.map((value) => value ?? '–')]),
    'named',
  );
}

function seedTable({ recipes }: Comparison): string {
  const percent = (share: number | null): string => (share === null ? '–' : (100 * share).toFixed(2));
  const rows = recipes.flatMap(({ name, runs }) =>
    runs.map((run) => [
      name,
      String(run.seed),
      run.status,
      String(run.step),
      percent(run.testAccuracy),
      percent(run.bestTestAccuracy),
      run.stepSeconds === null ? '–' : run.stepSeconds.toPrecision(3),
      run.trainSeconds > 0 ? durationText(run.trainSeconds) : '–',
    ]),
  );
  const header = ['recipe', 'seed', 'run', 'steps', 'accuracy, %', 'best, %', 'step, s', 'training'];
  return table(header, rows);
}

function table(header: readonly string[], rows: readonly (readonly string[])[], kind = ''): string {
  const cells = (row: readonly string[], tag: string): string =>
    `<tr>${row.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`;
  const body = rows.map((row) => cells(row, 'td')).join('');
  return `<div class="scroll"><table class="${kind}"><thead>${cells(header, 'th')}</thead><tbody>${body}</tbody></table></div>`;
}
