/** What is allowed in a recipe but hardly meant. */
import type { IgnoredKey } from './local-defaults.js';
import type { LocalConfig, LocalRule, Recipe, ScheduleConfig, SplitConfig } from './types.js';

/** One line for each doubtful setting. */
export function recipeWarnings(recipe: Recipe): string[] {
  return [...moduleWarnings(recipe), ...scheduleWarnings(recipe.schedule)];
}

/** One line for each key that was set but that the rule does not use. */
export function ignoredKeyWarnings(local: LocalConfig, ignored: readonly IgnoredKey[]): string[] {
  return ignored.map((key) => `local.${key}: ${reasonIgnored(local, key)}`);
}

export const splitIgnoredWarning = 'split: ignored, since rule bp has one module: the whole network';

function reasonIgnored({ rule, patches }: LocalConfig, key: IgnoredKey): string {
  if (rule === 'bp') return 'ignored, since rule bp has no heads';
  switch (key) {
    case 'patches':
      if (patches === null) return `ignored, since rule ${rule} has no such heads`;
      return `used on ${patches.on.join(' and ')} only, since rule ${rule} has no other heads`;
    case 'lambda':
      return `ignored, since rule ${rule} weighs its one loss by 1`;
    case 'classifier':
      return `ignored, since the heads of rule ${rule} are made of blocks like the network's`;
    case 'auglocal':
      return `ignored, since rule ${rule} has other heads`;
    default:
      return `ignored, since rule ${rule} has no ${key.replace('lambda.', '')}`;
  }
}

function moduleWarnings({ split, local }: Recipe): string[] {
  if (local.rule === 'bp') return [];
  const modules = moduleCount(split);
  if (modules === 1) return [`split: with one module, rule ${local.rule} is plain back-propagation`];
  if (local.hierarchy === null) return [];
  const { independent, cascade } = local.hierarchy;
  if (cascade === 0) return [`local.hierarchy.cascade: with weight 0, ${withoutCascade(local.rule, independent)}`];
  if (modules === 3 && lastHeadsAreSilent(local)) {
    const heads = 'local.lambda: with three modules, module 1 alone has heads, at their last weights';
    return [`${heads}: with these 0, nothing trains module 0`];
  }
  if (modules > 2) return [];
  return [`local.hierarchy: with two modules this is plain back-propagation at weight ${cascade} through both modules`];
}

function lastHeadsAreSilent({ rule, lambda, decoder }: LocalConfig): boolean {
  const last = { decoder: lambda.decoder[1], similarity: lambda.similarity[1], classifier: lambda.classifier[1] };
  if (rule === 'infopro') return last.classifier === 0 && (decoder === null || last.decoder === 0);
  return rule === 'predsim' && last.classifier === 0 && last.similarity === 0;
}

function withoutCascade(rule: LocalRule, independent: number): string {
  if (independent === 0) return 'and the independent weight 0 as well, nothing is trained';
  const weighted = independent === 1 ? '' : `, all its losses weighted by ${independent}`;
  return `this is rule ${rule} without hierarchy${weighted}`;
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
