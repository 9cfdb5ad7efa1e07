/** What is allowed in a recipe but hardly meant. */
import type { LocalConfig, Recipe, ScheduleConfig, SplitConfig } from './types.js';

/** One line for each doubtful setting. */
export function recipeWarnings(recipe: Recipe): string[] {
  return [...moduleWarnings(recipe), ...scheduleWarnings(recipe.schedule)];
}

/** One line for each key that was set but that the rule does not use. */
export function ignoredKeyWarnings(local: LocalConfig, ignored: readonly (keyof LocalConfig)[]): string[] {
  return ignored.map((key) => `local.${key}: ${reasonIgnored(local, key)}`);
}

export const splitIgnoredWarning = 'split: ignored, since rule bp has one module: the whole network';

function reasonIgnored({ rule, patches }: LocalConfig, key: keyof LocalConfig): string {
  if (rule === 'bp') return 'ignored, since rule bp has no heads';
  if (key !== 'patches') return `ignored, since rule ${rule} has no decoder and weighs its one loss by 1`;
  return patches === null
    ? `ignored, since rule ${rule} has no decoder`
    : `used on the classifier only, since rule ${rule} has no decoder`;
}

function moduleWarnings({ split, local }: Recipe): string[] {
  if (local.rule === 'bp') return [];
  const modules = moduleCount(split);
  if (modules === 1) return [`split: with one module, rule ${local.rule} is plain back-propagation`];
  if (local.hierarchy === null) return [];
  const { independent, cascade } = local.hierarchy;
  const warnings: string[] = [];
  if (modules === 2) {
    warnings.push(
      `local.hierarchy: with two modules this is plain back-propagation at weight ${cascade} through both modules`,
    );
  }
  if (cascade === 0) {
    const who = independent === 0 ? 'nothing' : 'all but the first module';
    warnings.push(`local.hierarchy.cascade: with weight 0, ${who} is trained`);
  }
  return warnings;
}

/** Modules that the recipe names. Published splits named 16 and 55 have one fewer, which makes no difference here. */
function moduleCount(split: SplitConfig): number {
  return 'modules' in split ? split.modules : split.boundaries.length;
}

function scheduleWarnings(schedule: ScheduleConfig): string[] {
  const { epochs, warmupEpochs } = schedule;
  const warnings: string[] = [];
  if (warmupEpochs >= epochs) {
    warnings.push(`schedule.warmupEpochs: with ${epochs} epochs, training ends within the warm-up of ${warmupEpochs}`);
  }
  if (schedule.type === 'step') {
    const late = schedule.milestones.filter((epoch) => epoch >= epochs);
    if (late.length > 0)
      warnings.push(`schedule.milestones: ${late.join(', ')}: not before the end, at epoch ${epochs}`);
  }
  return warnings;
}
