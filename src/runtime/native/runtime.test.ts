import { describe, expect, it } from 'vitest';
import { float32 } from '../../files/tensor.js';
import { createNativeRuntime } from './runtime.js';
import { smallModel } from './testing.js';

describe('native runtime', () => {
  it('adds', async () => {
    const runtime = await createNativeRuntime({ threads: 1 });
    const session = await runtime.createSession(
      smallModel({ inputs: { a: ['N'], b: ['N'] }, outputs: { y: ['N'] }, nodes: [['Add', ['a', 'b'], ['y']]] }),
      { name: 'add' },
    );
    const a = runtime.upload(float32([3], [1, 2, 3]));
    const b = runtime.upload(float32([3], [10, 20, 30]));
    const out = await session.run(
      new Map([
        ['a', a],
        ['b', b],
      ]),
    );
    const y = out.get('y')!;
    expect(y.read()).toEqual(float32([3], [11, 22, 33]));
    for (const d of [y, a, b, session, runtime]) d.dispose();
  });
});
