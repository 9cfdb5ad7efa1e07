/** Reading a manifest strictly: unknown keys, wrong types, another format version, paths out of the folder. */
import { z } from 'zod';
import { InputError } from '../errors.js';
import { parseRecipe } from '../recipe/index.js';
import type { SealedManifest } from './folder.js';
import { formatVersion } from './manifest.js';

const name = z.string().min(1);
const size = z.int().min(0);
const shape = z.array(size);

/** A relative path below the folder, of plain segments. */
const file = z.string().regex(/^(?:[A-Za-z0-9_-][A-Za-z0-9._-]*\/)*[A-Za-z0-9_-][A-Za-z0-9._-]*$/, {
  error: 'must be a path inside the folder',
});

const port = {
  name,
  dtype: z.enum(['float32', 'int64', 'bool']),
  shape: z.array(z.union([size, name])),
  meaning: z.enum([
    'image',
    'label',
    'scalar',
    'parameter',
    'statistic',
    'optimizer-state',
    'feature',
    'stash',
    'cotangent',
    'relay',
    'loss',
    'gradient',
    'logits',
    'gradient-buffer',
    'sequence',
    'flag',
  ]),
};

const schema = z.strictObject({
  formatVersion: z.literal(formatVersion),
  producer: name,
  recipe: z.unknown(),
  lowering: name,
  onnxRuntime: name,
  batch: z.int().min(1),
  microBatch: z.int().min(1).optional(),
  scalars: z.array(
    z.enum(['learning_rate', 'bias_correction1', 'bias_correction2', 'ema_rate', 'accumulate', 'apply']),
  ),
  modules: z.array(
    z.strictObject({
      index: size,
      blocks: z.array(name),
      parameters: z.array(name),
      headParameters: z.array(name),
    }),
  ),
  parameters: z.array(z.strictObject({ name, shape, kind: z.enum(['parameter', 'statistic']), module: size })),
  states: z.array(
    z.strictObject({
      name,
      parameter: name,
      shape,
      start: z.literal('parameter').optional(),
      transient: z.literal(true).optional(),
    }),
  ),
  losses: z.array(z.strictObject({ name, weight: z.number() })),
  graphs: z.array(
    z.strictObject({
      file,
      module: size.nullable(),
      phase: z.enum(['forward', 'heads', 'relay', 'update', 'step', 'eval', 'training', 'evaluation', 'optimizer']),
      inputs: z.array(z.strictObject(port)),
      outputs: z.array(z.strictObject({ ...port, updates: name.optional(), inPlace: z.boolean().optional() })),
    }),
  ),
  files: z.record(file, z.string().regex(/^[0-9a-f]{64}$/, { error: 'must be a SHA-256 in hexadecimal' })),
});

/** @throws InputError `MANIFEST_VERSION` or `MANIFEST_INVALID`; as `parseRecipe` for the recipe inside */
export function parseManifest(value: unknown, where: string): SealedManifest {
  const found =
    typeof value === 'object' && value !== null && 'formatVersion' in value ? value.formatVersion : undefined;
  if (found !== formatVersion) {
    throw new InputError(
      'MANIFEST_VERSION',
      `${where}: formatVersion: found ${JSON.stringify(found) ?? 'none'}, allowed: ${formatVersion}`,
    );
  }
  const result = schema.safeParse(value);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new InputError('MANIFEST_INVALID', `${where}: ${issue!.path.join('.') || 'manifest'}: ${issue!.message}`);
  }
  return { ...result.data, recipe: parseRecipe(result.data.recipe, `${where}: recipe`) };
}
