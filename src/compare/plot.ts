/** The plot of a comparison as SVG: test accuracy of each recipe, its seeds as dots, mean ± standard deviation as a bar. */
import { escapeHtml } from '../report/index.js';
import { percentText } from './cells.js';
import type { ComparedRecipe } from './document.js';

const WIDTH = 760;
const ROW = 34;
const TOP = 14;
const AXIS = 40;
const RIGHT = 120;
const LEFT_MIN = 90;
const LEFT_MAX = 300;
/** Widths of characters at 13 px: of most, and of those that fill a square. */
const CHARACTER = 8.6;
const WIDE = 14;

/** Nice distances of ticks, in percent points. */
const TICKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20];
const MOST_TICKS = 9;

/** Both themes of the page it is shown in, or of the browser that opens it. */
const STYLE =
  '.hpff-plot{font:13px system-ui,sans-serif;fill:#1c2230}.hpff-plot .grid{stroke:#d9dee8}.hpff-plot .range{stroke:#2f6fdb;stroke-width:3}' +
  '.hpff-plot .mean{fill:#2f6fdb}.hpff-plot .seed{fill:#2f6fdb;opacity:.45}.hpff-plot .soft{fill:#5b6577}' +
  '@media(prefers-color-scheme:dark){.hpff-plot{fill:#e6e9f0}.hpff-plot .grid{stroke:#333b4a}.hpff-plot .range{stroke:#7fb0ff}' +
  '.hpff-plot .mean,.hpff-plot .seed{fill:#7fb0ff}.hpff-plot .soft{fill:#9aa5b8}}';

/** @returns an `svg` element */
export function accuracyPlot(recipes: readonly ComparedRecipe[]): string {
  const longest = Math.max(...recipes.map(({ name }) => widthOf(name)));
  const left = Math.min(LEFT_MAX, Math.max(LEFT_MIN, longest + 16));
  const height = TOP + recipes.length * ROW + AXIS;
  const scale = scaleOf(recipes.flatMap(valuesOf));
  const x = (value: number): number => left + ((value - scale.from) / (scale.to - scale.from)) * (WIDTH - left - RIGHT);
  const bottom = TOP + recipes.length * ROW;
  const ticks = scale.ticks.map(
    (tick) =>
      `<line class="grid" x1="${fixed(x(tick))}" x2="${fixed(x(tick))}" y1="${TOP}" y2="${bottom}"/>` +
      `<text class="soft" x="${fixed(x(tick))}" y="${bottom + 17}" text-anchor="middle">${tickText(tick)}</text>`,
  );
  const rows = recipes.map((recipe, i) => row(recipe, TOP + (i + 0.5) * ROW, left, x));
  const title = `<text class="soft" x="${fixed((left + WIDTH - RIGHT) / 2)}" y="${height - 5}" text-anchor="middle">test accuracy, %</text>`;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" class="hpff-plot" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Test accuracy">` +
    `<style>${STYLE}</style>${ticks.join('')}${rows.join('')}${title}</svg>`
  );
}

function row(recipe: ComparedRecipe, y: number, left: number, x: (value: number) => number): string {
  const { name, testAccuracy: found, runs } = recipe;
  const shown = fitted(name, left - 16);
  const label = `<text x="${left - 12}" y="${y + 4}" text-anchor="end"><title>${escapeHtml(name)}</title>${escapeHtml(shown)}</text>`;
  if (found === null) return `${label}<text class="soft" x="${left + 8}" y="${y + 4}">no run is done</text>`;
  const [mean, sd] = [100 * found.mean, 100 * (found.sd ?? 0)];
  const range = `<line class="range" x1="${fixed(x(mean - sd))}" x2="${fixed(x(mean + sd))}" y1="${y}" y2="${y}"/>`;
  const seeds = runs
    .filter(({ status }) => status === 'done')
    .map(
      ({ seed, testAccuracy }) =>
        `<circle class="seed" cx="${fixed(x(100 * testAccuracy!))}" cy="${y}" r="4"><title>seed ${seed}</title></circle>`,
    );
  const text = `<text class="soft" x="${WIDTH - RIGHT + 12}" y="${y + 4}">${percentText(found)}</text>`;
  return `${label}${range}${seeds.join('')}<circle class="mean" cx="${fixed(x(mean))}" cy="${y}" r="5.5"/>${text}`;
}

/** From the Chinese radicals on characters are wide, emoji among them. */
const widthOf = (text: string): number =>
  [...text].reduce((sum, character) => sum + (character >= '\u2e80' ? WIDE : CHARACTER), 0);

/** As much of a name as a width holds, with an ellipsis where it is cut. */
function fitted(name: string, width: number): string {
  if (widthOf(name) <= width) return name;
  const shown = [...name];
  while (widthOf(`${shown.join('')}…`) > width) shown.pop();
  return `${shown.join('')}…`;
}

/** In percent. */
function valuesOf({ testAccuracy, runs }: ComparedRecipe): number[] {
  if (testAccuracy === null) return [];
  const { mean, sd } = testAccuracy;
  const seeds = runs.filter(({ status }) => status === 'done').map((run) => run.testAccuracy!);
  return [mean - (sd ?? 0), mean + (sd ?? 0), ...seeds].map((share) => 100 * share);
}

function scaleOf(values: readonly number[]): { from: number; to: number; ticks: number[] } {
  const [low, high] = values.length === 0 ? [0, 100] : [Math.min(...values), Math.max(...values)];
  const span = Math.max(high - low, 0.4);
  const step = TICKS.find((each) => span / each <= MOST_TICKS - 2) ?? 20;
  const from = Math.floor((low - 0.05 * span) / step);
  const to = Math.max(from + 1, Math.ceil((high + 0.05 * span) / step));
  return {
    from: from * step,
    to: to * step,
    ticks: Array.from({ length: to - from + 1 }, (_, i) => (from + i) * step),
  };
}

const tickText = (value: number): string => String(Number(value.toFixed(1)));
const fixed = (value: number): string => value.toFixed(1);
