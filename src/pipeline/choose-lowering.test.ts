/** Which lowering a device gets; the self-test itself is tested in self-test.test.ts. */
import { expect, test } from 'vitest';
import { portable } from '../lower/index.js';
import type { Runtime } from '../runtime/runtime.js';
import { chooseLowering } from './choose-lowering.js';

/** Its sessions must not be asked for: on such a device ONNX Runtime runs blocked kernels on the CPU. */
const gpu = { device: 'webgpu:0', version: '1.30.0' } as Runtime;

test('a device that is not the CPU gets the portable lowering', async () => {
  const { lowering, reason } = await chooseLowering('auto', gpu);
  expect(lowering).toBe(portable);
  expect(reason).toBe('device webgpu:0 has no blocked kernels');
  expect((await chooseLowering('portable', gpu)).lowering).toBe(portable);
});

test.each([
  ['blocked', "--lowering: found 'blocked', allowed on webgpu:0: portable"],
  ['fast', "--lowering: found 'fast', allowed: auto, portable, blocked"],
])('%s is refused there', async (name, message) => {
  await expect(chooseLowering(name, gpu)).rejects.toThrow(message);
});
