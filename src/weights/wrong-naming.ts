/** What to say of a file that has none of the trunk's tensors. */
import { InputError } from '../errors.js';
import { printable, quoted } from '../files/printable.js';
import type { NetworkConfig } from '../recipe/types.js';
import { countFound, type NamingName, namingOf, recognizeNaming } from './naming.js';

/**
 * @param own our names of the trunk's tensors
 * @param naming the one under which none was found
 */
export function wrongNaming(
  names: ReadonlySet<string>,
  network: NetworkConfig,
  own: readonly string[],
  naming: NamingName,
  where: string,
): InputError {
  const first = namingOf(naming, network, own).theirs(own[0]!);
  const found = names.size === 0 ? 'nothing' : `${quoted([...names][0]!, 60)} among ${names.size}`;
  return new InputError(
    'WEIGHTS_NAMING',
    `${printable(where)}: found ${found}, allowed: the ${own.length} tensors of the trunk under naming ${naming}, such as ${quoted(first)}` +
      remedy(names, network, own),
  );
}

/** Another naming, or a prefix that a wrapper has put before all names. */
function remedy(names: ReadonlySet<string>, network: NetworkConfig, own: readonly string[]): string {
  const other = recognizeNaming(names, network, own);
  if (countFound(names, own, namingOf(other, network, own)) > 0) return `; the file has those of --naming ${other}`;
  for (const prefix of prefixesOf(names)) {
    const shorter = new Set([...names].flatMap((name) => (name.startsWith(prefix) ? [name.slice(prefix.length)] : [])));
    const naming = recognizeNaming(shorter, network, own);
    if (countFound(shorter, own, namingOf(naming, network, own)) === 0) continue;
    return `; take away the ${quoted(prefix, 60)} before names of --naming ${naming} (docs/pytorch.md)`;
  }
  return '';
}

/** `module.`, `model.backbone.`: what the first names begin with, up to a dot. */
function prefixesOf(names: ReadonlySet<string>): string[] {
  const beginnings = [...names].slice(0, 3).flatMap((name) => {
    const parts = name.split('.');
    return parts.slice(1).map((_, count) => `${parts.slice(0, count + 1).join('.')}.`);
  });
  return [...new Set(beginnings)];
}
